use dynalock::Versioned;

#[derive(Versioned)]
union Order {
    id: u64,
    number: i64,
}

fn main() {}
