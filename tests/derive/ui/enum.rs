use dynalock::Versioned;

#[derive(Versioned)]
enum Order {
    Open,
}

fn main() {}
