#[automatically_derived]
impl crate::storage::Versioned for Line {
    type Key = crate::storage::__private::PartitionAndSort<CartId, std::num::NonZeroU32>;
    type Version = u32;
    const SCHEMA: crate::storage::__private::Schema = crate::storage::__private::Schema {
        name: "Line",
        partition_key: crate::storage::__private::KeyAttribute {
            name: "PK",
            scalar_type: crate::storage::__private::scalar_type::<CartId>,
        },
        sort_key: ::core::option::Option::Some(crate::storage::__private::KeyAttribute {
            name: "type",
            scalar_type: crate::storage::__private::scalar_type::<std::num::NonZeroU32>,
        }),
        version: "rowVersion",
        attributes: &["PK", "type", "giftNote", "rowVersion"],
        aliases: &[("giftNote", "note")],
        start: crate::storage::__private::Start::At(10),
        step: 5,
        stamps: 8,
    };
    fn __version(&self) -> u32 {
        ::core::clone::Clone::clone(&self.row_version)
    }
    fn __set_version(&mut self, __version: u32) {
        self.row_version = __version;
    }
}
const _: () = {
    use crate::storage::__private::Allowed as _;
    crate::storage::__private::check(
        !crate::storage::__private::KeyProbe::<CartId>::REFUSED,
        "`CartId` cannot be a DynamoDB key\nhelp: expected a string, an integer or bytes",
    );
};
const _: () = {
    use crate::storage::__private::Allowed as _;
    crate::storage::__private::check(
        !crate::storage::__private::KeyProbe::<std::num::NonZeroU32>::REFUSED,
        "`std::num::NonZeroU32` cannot be a DynamoDB key\nhelp: expected a string, an integer or bytes",
    );
};
const _: () = {
    crate::storage::__private::check(
        10 <= <u32 as crate::storage::__private::VersionNumber>::MAX,
        "`start = 10` does not fit into `u32`\nhelp: use a smaller number or a wider type, such as `u64`",
    );
};
const _: () = {
    crate::storage::__private::check(
        5 <= <u32 as crate::storage::__private::VersionNumber>::MAX,
        "`step = 5` does not fit into `u32`\nhelp: use a smaller number or a wider type, such as `u64`",
    );
};
