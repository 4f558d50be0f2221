use dynalock::Versioned;

#[derive(Versioned)]
struct Order;

fn main() {}
