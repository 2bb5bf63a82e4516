//! Tests of the lists of files, and of how they are numbered.

use super::*;

const FILE: u32 = 0o100_644;
const DIR: u32 = 0o040_755;

fn entry(name: &str) -> Entry {
    let mode = if name.ends_with('/') { DIR } else { FILE };
    let name = name.strip_suffix('/').unwrap_or(name);
    Entry::new(name.as_bytes(), mode, 0, b"").unwrap()
}

fn lists(incremental: bool, names: &[&str]) -> Lists {
    let mut lists = Lists::new(incremental);
    lists.begin(None).unwrap();
    for name in names {
        lists.push(entry(name)).unwrap();
    }
    lists.close().unwrap();
    lists
}

fn name(lists: &mut Lists, index: i32) -> Result<String, Lost> {
    let found = lists.find(index)?.name();
    Ok(String::from_utf8(found).unwrap())
}

/// As rsync 3.2.7 had them (`--debug=flist3`).
#[test]
fn names_are_numbered_in_the_order_of_rsync() {
    let names = [
        "b/", "b/x", "a", "b-c/", "b-c/y", ".", "c", "b/z/", "b/z/k", "b.c", "b0", "B",
    ];
    let mut names: Vec<&str> = names.into();
    for entry in &mut names {
        if *entry == "." {
            *entry = "./";
        }
    }
    let mut lists = lists(false, &names);
    let want = [
        ".", "B", "a", "b.c", "b0", "c", "b-c", "b-c/y", "b", "b/x", "b/z", "b/z/k",
    ];
    for (index, want) in (0..).zip(want) {
        assert_eq!(name(&mut lists, index).as_deref(), Ok(want));
    }
    assert_eq!(name(&mut lists, 12), Err(Lost::Index));
    assert_eq!(name(&mut lists, -1), Err(Lost::Index));
}

#[test]
fn a_list_of_a_directory_leaves_out_a_number() {
    let mut lists = lists(true, &["./", "b/", "a/", "f"]);
    for (index, want) in (0..).zip([".", ".", "f", "a", "b"]) {
        assert_eq!(name(&mut lists, index).as_deref(), Ok(want));
    }
    assert_eq!(lists.begin(Some(3)), Err(Lost::Index));
    lists.begin(Some(2)).unwrap();
    assert_eq!(lists.begin(Some(2)), Err(Lost::Index));
    lists.push(entry("b/g")).unwrap();
    lists.close().unwrap();
    assert_eq!(name(&mut lists, 5).as_deref(), Ok("b"));
    assert_eq!(name(&mut lists, 6).as_deref(), Ok("b/g"));
    assert_eq!(name(&mut lists, 7), Err(Lost::Index));
    assert_eq!(lists.drop_first(), Some(true));
    assert_eq!(name(&mut lists, 2), Err(Lost::Index));
    assert_eq!(lists.drop_first(), Some(false));
    assert_eq!(lists.drop_first(), None);
}

#[test]
fn of_what_is_listed_twice_one_has_a_number() {
    let names = [
        "d", "f", "b/", "b/d/", "f", "b/d", "b/", "d/", "d", "f/x", "b/e",
    ];
    let mut lists = lists(false, &names);
    let want = [
        None,
        None,
        Some("f"),
        None,
        Some("b"),
        None,
        None,
        Some("b/e"),
        Some("b/d"),
        Some("d"),
        Some("f/x"),
    ];
    for (index, want) in (0..).zip(want) {
        let want = want.map(str::to_owned).ok_or(Lost::Index);
        assert_eq!(name(&mut lists, index), want, "{index}");
    }
}

#[test]
fn what_is_in_a_list_that_is_not_whole_has_no_number() {
    let mut lists = lists(true, &["a/"]);
    lists.begin(Some(0)).unwrap();
    lists.push(entry("a/b")).unwrap();
    assert_eq!(name(&mut lists, 2).as_deref(), Ok("a"));
    assert_eq!(name(&mut lists, 3), Err(Lost::Index));
    lists.close().unwrap();
    assert_eq!(name(&mut lists, 3).as_deref(), Ok("a/b"));
}

/// A root with so many directories in it, whose lists have all come and are empty.
fn empty(count: i32) -> Lists {
    let mut lists = Lists::new(true);
    lists.begin(None).unwrap();
    for number in 0..count {
        lists.push(entry(&format!("{number:05}/"))).unwrap();
    }
    lists.close().unwrap();
    for number in 0..count {
        lists.begin(Some(number)).unwrap();
        lists.close().unwrap();
    }
    lists
}

#[test]
fn a_file_is_found_between_many_lists_that_are_empty() {
    const COUNT: i32 = 15_000;
    let mut lists = empty(COUNT);
    // Some milliseconds; the half of a minute where each list is looked at.
    for number in 0..COUNT {
        let want = format!("{number:05}");
        // Itself, and as that of which a list is.
        assert_eq!(name(&mut lists, 1 + number).as_ref(), Ok(&want));
        let parent = 1 + COUNT + number;
        assert_eq!(name(&mut lists, parent).as_ref(), Ok(&want));
    }
    assert_eq!(name(&mut lists, 0), Err(Lost::Index));
    assert_eq!(name(&mut lists, 1 + 2 * COUNT), Err(Lost::Index));
}

#[test]
fn what_is_kept_has_an_end() {
    let mut lists = Lists::new(false);
    lists.begin(None).unwrap();
    let mut count = 0;
    let lost = loop {
        match lists.push(entry("a-name-of-some-length")) {
            Ok(()) => count += 1,
            Err(lost) => break lost,
        }
    };
    assert_eq!(lost, Lost::Many);
    assert!((60_000..65_000).contains(&count), "{count}");
    let cost = size_of::<Entry>() + 2 * 16;
    assert!(cost <= ENTRY_COST, "{cost}");
}

/// What is really kept.
fn kept(lists: &Lists) -> usize {
    let open = lists.open.iter();
    let listed = open.flat_map(|list| list.entries.iter().chain(list.parent.as_deref()));
    let entries = listed.chain(lists.dirs.values()).map(Entry::cost);
    let heads = lists.open.iter().map(|_list| LIST_COST);
    entries.chain(heads).sum()
}

#[track_caller]
fn check_held(lists: &Lists) {
    assert_eq!(lists.held(), kept(lists));
    // Room for four is made at once.
    let count = lists.open.len().max(4);
    let room = lists.open.capacity().saturating_mul(size_of::<List>());
    assert!(
        room <= count.saturating_mul(LIST_COST),
        "{room} for {count}"
    );
}

#[test]
fn what_is_held_is_what_is_kept_however_many_lists_come_and_go() {
    let mut lists = lists(true, &["./", "a/", "b"]);
    check_held(&lists);
    let (mut next, mut dirs) = (0, 2);
    for count in [1, 40, 3, 900, 0, 7] {
        for _ in 0..count {
            lists.begin(Some(next)).unwrap();
            next += 1;
            for dir in 0..2 {
                lists.push(entry(&format!("{dirs}/{dir}/"))).unwrap();
            }
            lists.push(entry(&format!("{dirs}/x"))).unwrap();
            dirs += 2;
            lists.close().unwrap();
            check_held(&lists);
        }
        while lists.open.len() > 1 {
            lists.drop_first();
            check_held(&lists);
        }
    }
    for dir in next..dirs {
        lists.begin(Some(dir)).unwrap();
        lists.close().unwrap();
    }
    while lists.drop_first().is_some() {
        check_held(&lists);
    }
    assert_eq!((lists.held(), lists.open.capacity()), (0, 0));
}

#[test]
fn lists_with_nothing_in_them_have_an_end_too() {
    let most = i32::try_from(HELD_MAX / (2 * ENTRY_COST + 16)).unwrap();
    let mut lists = Lists::new(true);
    lists.begin(None).unwrap();
    for number in 0..most {
        lists.push(entry(&format!("{number:05}/"))).unwrap();
    }
    lists.close().unwrap();
    let lost = (0..most).find_map(|number| lists.begin(Some(number)).err());
    assert_eq!(lost, Some(Lost::Many));
}

#[test]
fn one_file_is_not_told_of_for_ever() {
    let mut lists = lists(false, &["a"]);
    let told = (0..20).take_while(|_| lists.tell(0).is_ok());
    assert_eq!(told.count(), 8);
}

#[test]
fn a_name_that_is_not_spelled_out_has_no_place() {
    for name in ["", "a//b", "a/", "./a", "a/..", "..", "a/./b", "a\0"] {
        assert_eq!(key(name.as_bytes(), false), Err(Lost::Name), "{name}");
    }
    assert_eq!(key(b".", false), Err(Lost::Name));
    assert_eq!(Entry::new(b"/a/b", FILE, 0, b"").unwrap().name(), b"/a/b");
}
