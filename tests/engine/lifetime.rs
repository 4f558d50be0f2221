//! How long an engine lives, and who shares it.

use std::{cell::RefCell, error::Error, rc::Rc};

use dynalock::embedded::Engine;
use dynalock_tests::engines::Store;
use tempfile::TempDir;

use crate::{add_one, count, with_table};

#[tokio::test]
async fn clones_and_clients_share_one_database() {
    let engine = Engine::in_memory();
    let client = with_table(engine.client()).await;
    add_one(&client).await.unwrap();
    add_one(&engine.clone().client()).await.unwrap();
    assert_eq!(count(&client).await, 2);
}

#[tokio::test]
async fn engines_in_memory_are_apart() {
    with_table(Engine::in_memory().client()).await;
    let tables = Engine::in_memory().client().list_tables().send().await.unwrap();
    assert!(tables.table_names().is_empty());
}

#[tokio::test]
async fn a_file_survives_a_restart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("accounts.db");

    let client = with_table(Engine::on_disk(&path).unwrap().client()).await;
    add_one(&client).await.unwrap();
    drop(client);
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "the log is folded into the file");

    let client = Engine::on_disk(&path).unwrap().client();
    assert_eq!(count(&client).await, 1);
}

#[tokio::test]
async fn a_file_survives_a_crash() {
    let folder = TempDir::new().unwrap();
    let client = with_table(Engine::on_disk(folder.path().join("a.db")).unwrap().client()).await;
    add_one(&client).await.unwrap();
    // What a process that dies leaves behind.
    for end in ["", "-wal"] {
        let name = |name| folder.path().join(format!("{name}.db{end}"));
        std::fs::copy(name("a"), name("b")).unwrap();
    }
    let crashed = Engine::on_disk(folder.path().join("b.db")).unwrap().client();
    assert_eq!(count(&crashed).await, 1);
}

#[tokio::test]
async fn two_engines_on_one_file_see_each_others_writes() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("accounts.db");
    let one = with_table(Engine::on_disk(&path).unwrap().client()).await;
    let other = Engine::on_disk(&path).unwrap().client();
    for _ in 0..10 {
        add_one(&one).await.unwrap();
        add_one(&other).await.unwrap();
    }
    assert_eq!((count(&one).await, count(&other).await), (20, 20));
}

#[test]
fn a_file_that_cannot_be_opened_is_named_with_the_cause() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("missing").join("accounts.db");
    let error = Engine::on_disk(&path).unwrap_err();
    assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
    let cause = error.source().expect("a cause").to_string();
    assert!(cause.contains("unable to open database file"), "{cause}");
}

#[test]
fn a_file_that_is_no_database_is_refused_and_kept() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("notes.txt");
    let notes = "these are notes, and no database of any kind ".repeat(100);
    std::fs::write(&path, &notes).unwrap();
    assert!(Engine::on_disk(&path).is_err());
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

#[test]
fn debug_output_shows_no_contents() {
    assert_eq!(format!("{:?}", Engine::in_memory()), "Engine { .. }");
}

#[tokio::test(flavor = "current_thread")]
async fn two_tasks_of_one_thread_take_turns() {
    let client = with_table(Engine::in_memory().client()).await;
    let turns = Rc::new(RefCell::new(Vec::new()));
    let task = |name: char| {
        let (client, turns) = (client.clone(), Rc::clone(&turns));
        async move {
            for _ in 0..5 {
                add_one(&client).await.unwrap();
                turns.borrow_mut().push(name);
            }
        }
    };
    let tasks = tokio::task::LocalSet::new();
    tasks.spawn_local(task('a'));
    tasks.spawn_local(task('b'));
    tasks.await;
    let turns = String::from_iter(turns.take());
    assert!(turns.contains("ab") && turns.contains("ba"), "{turns}");
}

#[tokio::test(start_paused = true)]
async fn a_paused_clock_stands_still_while_the_engine_works() {
    let client = with_table(Engine::in_memory().client()).await;
    let start = tokio::time::Instant::now();
    add_one(&client).await.unwrap();
    assert!(start.elapsed().is_zero());
}

#[tokio::test]
async fn every_store_counts() {
    for store in [Store::memory(), Store::disk(), Store::tcp()] {
        let client = with_table(store.client()).await;
        add_one(&client).await.unwrap();
        assert_eq!(count(&store.client()).await, 1, "{store:?}");
    }
}

#[cfg(unix)]
#[test]
fn a_path_that_is_not_utf_8_is_refused() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let error = Engine::on_disk(OsStr::from_bytes(b"no-\xff.db")).unwrap_err();
    assert!(error.to_string().contains("not UTF-8"), "{error}");
}
