::core::compile_error! {
    "this field is not marked as the version\nhelp: write `#[dynalock(version)]` above it"
}
#[automatically_derived]
impl<B: Clone> ::dynalock::Versioned for Document<B>
where
    for<'__dynalock> Self: ::dynalock::__private::Stored<'__dynalock>,
{
    type Key = ::dynalock::__private::PartitionAndSort<String, u32>;
    type Version = ::core::primitive::u64;
    const SCHEMA: ::dynalock::__private::Schema = ::dynalock::__private::REFUSED;
    fn __version(&self) -> Self::Version {
        loop {}
    }
    fn __set_version(&mut self, _: Self::Version) {}
}
