//! What is made together with a schema.

use super::check;

#[test]
fn a_grant_inside_a_schema_is_one() {
    check(
        "create schema s grant all on public.payroll to mallory",
        "admin(public.payroll|)",
    );
    check(
        "create schema s create table grant_log (a int)",
        "ddl(grant_log|grant_log)",
    );
}

#[test]
fn a_view_that_is_made_with_its_schema_reads_what_it_reads() {
    let both = "select(a,b,payroll,v|) ddl(a,b,payroll,v|)";
    check(
        "create schema s create sequence a as int create sequence b create view v as select * from payroll",
        both,
    );
    check(
        "create schema s create view v as select * from payroll create sequence a create sequence b",
        both,
    );
    check(
        "create schema s create view v as (select * from payroll) create sequence a create sequence b",
        both,
    );
}
