//! What others are let to: the rights that stand in the catalogue, of each kind of thing that has some.
//!
//! Pure: texts, to be put behind `since` and `theirs`.

/// The kinds of things that others are let to, by whoever has them or by who may let others in turn: how each is called, what is written of one, from where with its
/// row as `x`, whose it is and who is let to it.
const OPEN: [(&str, &str, &str, &str, &str); 11] = [
    (
        "open",
        "x.oid::pg_catalog.regclass::text",
        "pg_catalog.pg_class x",
        "x.relowner",
        "x.relacl",
    ),
    (
        "open column",
        "x.attrelid::pg_catalog.regclass::text || '.' || pg_catalog.quote_ident(x.attname)",
        "pg_catalog.pg_attribute x join pg_catalog.pg_class c on c.oid = x.attrelid",
        "c.relowner",
        "x.attacl",
    ),
    (
        "open schema",
        "pg_catalog.quote_ident(x.nspname)",
        "pg_catalog.pg_namespace x",
        "x.nspowner",
        "x.nspacl",
    ),
    (
        "open function",
        "x.oid::pg_catalog.regprocedure::text",
        "pg_catalog.pg_proc x",
        "x.proowner",
        "x.proacl",
    ),
    (
        "open type",
        "x.oid::pg_catalog.regtype::text",
        "pg_catalog.pg_type x",
        "x.typowner",
        "x.typacl",
    ),
    (
        "open large object",
        "x.oid::text",
        "pg_catalog.pg_largeobject_metadata x",
        "x.lomowner",
        "x.lomacl",
    ),
    (
        "open database",
        "pg_catalog.quote_ident(x.datname)",
        "pg_catalog.pg_database x",
        "x.datdba",
        "x.datacl",
    ),
    (
        "open server",
        "pg_catalog.quote_ident(x.srvname)",
        "pg_catalog.pg_foreign_server x",
        "x.srvowner",
        "x.srvacl",
    ),
    (
        "open wrapper",
        "pg_catalog.quote_ident(x.fdwname)",
        "pg_catalog.pg_foreign_data_wrapper x",
        "x.fdwowner",
        "x.fdwacl",
    ),
    (
        "open language",
        "pg_catalog.quote_ident(x.lanname)",
        "pg_catalog.pg_language x",
        "x.lanowner",
        "x.lanacl",
    ),
    (
        "open tablespace",
        "pg_catalog.quote_ident(x.spcname)",
        "pg_catalog.pg_tablespace x",
        "x.spcowner",
        "x.spcacl",
    ),
];

/// The same of settings, whose rights are given from version 15 on. They are the first superuser's.
const OPEN_SETTINGS: (u32, (&str, &str, &str, &str, &str)) = (
    15,
    (
        "open setting",
        "pg_catalog.quote_ident(x.parname)",
        "pg_catalog.pg_parameter_acl x",
        "10::pg_catalog.oid",
        "x.paracl",
    ),
);

/// The queries for what others are let to, by `theirs` or by whose it is.
pub(super) fn queries(version: u32) -> impl Iterator<Item = String> {
    let (since, settings) = OPEN_SETTINGS;
    let settings = (version >= since).then_some(settings);
    let open = OPEN.into_iter().chain(settings);
    open.map(|(kind, what, from, owner, acl)| {
        format!(
            "select '{kind}' as kind, {what} || ' ' || {acl}::text as what, pg_catalog.age(x.xmin) as age from {from}, since \
             where pg_catalog.age(x.xmin) <= old \
             and exists (select from pg_catalog.aclexplode({acl}) a \
             where a.grantee not in (select oid from theirs) \
             and ({owner} in (select oid from theirs) or a.grantor in (select oid from theirs)))"
        )
    })
}
