//! Lists of relations in statements that are no queries.

use super::check;

#[test]
fn every_relation_of_a_list_is_named() {
    check("truncate junk *, payroll", "delete-all(junk,payroll|)");
    check("truncate only (junk), payroll", "delete-all(junk,payroll|)");
    check(
        "truncate table a, only (b) restart identity cascade",
        "delete-all(a,b|)",
    );
    check("truncate a, b x", "unknown(|)");
    check("lock junk *, payroll", "other(junk,payroll|)");
    check(
        "lock table only (a), b in access share mode nowait",
        "other(a,b|)",
    );
    check("lock a b", "unknown(|)");
    check("vacuum (full) payroll", "admin(payroll|vacuum)");
    check("vacuum full payroll (a, b), c", "admin(c,payroll|payroll)");
    check("analyze (verbose) payroll", "admin(payroll|analyze)");
    check(
        "vacuum full freeze verbose analyze payroll",
        "admin(payroll|)",
    );
    check(
        "cluster (verbose) payroll using i",
        "admin(payroll|cluster)",
    );
    check(
        "alter table mine attach partition payroll default",
        "ddl(mine,payroll|)",
    );
    check(
        "alter table mine detach partition payroll",
        "ddl(mine,payroll|)",
    );
    check("alter table mine inherit payroll", "ddl(mine,payroll|)");
    check(
        "create table a (b int) partition by range (b)",
        "ddl(a|a,range)",
    );
    check("drop table a, payroll *", "ddl(a,payroll|)");
    check(
        "create publication p for table a (b), only (c) *, payroll where (d > 1), e",
        "admin(a,c,e,payroll|a,only)",
    );
}

#[test]
fn a_rule_does_what_its_actions_do() {
    check(
        "create rule r as on insert to payroll do also nothing",
        "ddl(insert,payroll|)",
    );
    check(
        "create or replace rule r as on update to a where old.b do instead (delete from c using d x, payroll where c.i = payroll.i; notify e)",
        "select(a,c,d,payroll,to,update|) delete(a,c,d,payroll,to,update|) ddl(a,c,d,payroll,to,update|) other(a,c,d,payroll,to,update|)",
    );
    check(
        "create rule r as on insert to a do also frobnicate",
        "unknown(|)",
    );
    check(
        "create function f() returns int begin atomic select 1 from a x, payroll",
        "unknown(|)",
    );
    check(
        "create policy p on a using (exists (select 1 from b x, c as y, payroll where z = 1))",
        "admin(a,b,c,payroll|exists)",
    );
}

/// No key word of a statement's own is kept from being a name by the server but the reserved ones.
#[test]
fn what_is_called_like_a_word_before_a_name_is_named() {
    check("drop table partition, payroll", "ddl(partition,payroll|)");
    check("drop table if exists if, payroll", "ddl(if,payroll|)");
    check("drop table exists, payroll", "ddl(exists,payroll|)");
    check("drop view sequence", "ddl(sequence|)");
    check("drop table view cascade", "ddl(cascade,view|)");
    check("alter table partition add b int", "ddl(partition|)");
    check("create table if not exists if (a int)", "ddl(if|if)");
    check("create index on view (a)", "ddl(a,view|view)");
    check("lock schema, payroll", "other(payroll,schema|)");
    check("truncate schema, payroll", "delete-all(payroll,schema|)");
    check("vacuum partition, payroll", "admin(partition,payroll|)");
    check("grant select on view, payroll to b", "admin(payroll,view|)");
    check("revoke all on sequence from b", "admin(b,from,sequence|)");
    check(
        "create trigger c before insert on view execute function f()",
        "ddl(execute,view|f)",
    );
    check(
        "comment on constraint c on view is 'd'",
        "ddl(constraint,is,view|)",
    );
    // They are none where a name follows that may.
    check("grant usage on schema hr to b", "admin(hr|)");
    check("comment on view v is 'd'", "ddl(v|)");
    check("security label on sequence s is 'd'", "admin(s|)");
    check(
        "alter table a attach partition partition default",
        "ddl(a,partition|)",
    );
    check("alter index a attach partition b", "ddl(a,b|)");
    check("drop index concurrently if exists a, b", "ddl(a,b|)");
}
