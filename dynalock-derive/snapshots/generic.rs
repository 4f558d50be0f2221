#[automatically_derived]
impl<K: Ord, B, V, const N: usize> ::dynalock::Versioned for Document<K, B, V, N>
where
    B: Clone,
    Self: ::dynalock::__private::Serialize + ::dynalock::__private::DeserializeOwned
        + ::core::marker::Send + ::core::marker::Sync + 'static,
    K: ::dynalock::__private::Serialize + ::dynalock::__private::DeserializeOwned
        + 'static,
    V: ::dynalock::__private::ClockVersion,
{
    type Key = ::dynalock::__private::PartitionAndSort<K, u32>;
    type Version = V;
    const SCHEMA: ::dynalock::__private::Schema = ::dynalock::__private::Schema {
        name: "Document",
        partition_key: ::dynalock::__private::KeyAttribute {
            name: "id",
            scalar_type: ::dynalock::__private::scalar_type::<K>,
        },
        sort_key: ::core::option::Option::Some(::dynalock::__private::KeyAttribute {
            name: "part",
            scalar_type: ::dynalock::__private::scalar_type::<u32>,
        }),
        version: "version",
        attributes: &["id", "part", "body", "version"],
        aliases: &[],
        start: ::dynalock::__private::Start::Clock,
        step: 1,
        stamps: 4,
    };
    fn __version(&self) -> V {
        ::core::clone::Clone::clone(&self.version)
    }
    fn __set_version(&mut self, __version: V) {
        self.version = __version;
    }
}
const _: () = {
    use ::dynalock::__private::Allowed as _;
    ::dynalock::__private::check(
        !::dynalock::__private::KeyProbe::<u32>::REFUSED,
        "`u32` cannot be a DynamoDB key\nhelp: expected a string, an integer or bytes",
    );
};
