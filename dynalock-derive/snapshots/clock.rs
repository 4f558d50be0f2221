#[automatically_derived]
impl ::dynalock::Versioned for Session {
    type Key = String;
    type Version = i64;
    const SCHEMA: ::dynalock::__private::Schema = ::dynalock::__private::Schema {
        name: "Session",
        partition_key: ::dynalock::__private::KeyAttribute {
            name: "token",
            scalar_type: ::dynalock::__private::scalar_type::<String>,
        },
        sort_key: ::core::option::Option::None,
        version: "version",
        attributes: &["token", "version"],
        aliases: &[],
        start: ::dynalock::__private::Start::Clock,
        step: 1,
        stamps: 4,
    };
    fn __version(&self) -> i64 {
        ::core::clone::Clone::clone(&self.version)
    }
    fn __set_version(&mut self, __version: i64) {
        self.version = __version;
    }
}
const _: () = {
    use ::dynalock::__private::Allowed as _;
    ::dynalock::__private::check(
        !::dynalock::__private::KeyProbe::<String>::REFUSED,
        "`String` cannot be a DynamoDB key\nhelp: expected a string, an integer or bytes",
    );
};
const _: () = {
    ::dynalock::__private::clock_version::<i64>();
};
