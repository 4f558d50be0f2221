#[automatically_derived]
impl ::dynalock::Versioned for Account {
    type Key = String;
    type Version = u64;
    const SCHEMA: ::dynalock::__private::Schema = ::dynalock::__private::Schema {
        name: "Account",
        partition_key: ::dynalock::__private::KeyAttribute {
            name: "id",
            scalar_type: ::dynalock::__private::scalar_type::<String>,
        },
        sort_key: ::core::option::Option::None,
        version: "version",
        attributes: &["id", "balance", "version"],
        aliases: &[],
        start: ::dynalock::__private::Start::At(1),
        step: 1,
        stamps: 4,
    };
    fn __version(&self) -> u64 {
        ::core::clone::Clone::clone(&self.version)
    }
    fn __set_version(&mut self, __version: u64) {
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
