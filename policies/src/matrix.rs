//! Who may do what, as a table that people review: principals × targets × deeds, ✔ or ✘.
//!
//! Made for snapshots and for showing what a change of policies changes. It asks the same functions
//! as everything else and has no opinion of its own.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::{
    Approval, Ask, Capability, Credential, Facts, Filing, Grant, GrantId, Login, Office, PolicySet,
    Principal, Protocol, Reason, Request, RequestId, Target, activates, decide, may_approve,
    may_office, may_request,
};

/// How long the access is that everybody asks for in the table.
const DURATION: SignedDuration = SignedDuration::from_hours(1);

/// What a grant may allow, with the heading of its column.
const CAPABILITIES: [(Capability, &str); 9] = [
    (Capability::Shell, "shell"),
    (Capability::Exec, "exec"),
    (Capability::SftpRead, "sftp-r"),
    (Capability::SftpWrite, "sftp-w"),
    (Capability::ForwardPort, "fwd-L"),
    (Capability::ReversePort, "fwd-R"),
    (Capability::ForwardAgent, "agent"),
    (Capability::ForwardX11, "x11"),
    (Capability::Sql, "sql"),
];

/// Prints the table for the first login of every target, as of `now`, for people who come from
/// `source`. Grants and requests in `facts` are overlooked: each cell supposes the one it needs.
///
/// `ask` may file a request, `alone` gets it without anybody, `once` after one approval by whoever
/// may approve, `appr` may approve somebody else's.
pub fn matrix(policies: &PolicySet, facts: &Facts, source: IpAddr, now: Timestamp) -> String {
    let clean = Facts {
        grants: [].into(),
        requests: [].into(),
        ..facts.clone()
    };
    let view = View {
        policies,
        facts: &clean,
        source,
        now,
    };
    let mut text = String::new();
    let wide = |names: &mut dyn Iterator<Item = usize>| names.max().unwrap_or(0).max(9);
    let name_width = wide(&mut facts.principals.keys().map(|name| name.as_str().len()));
    let target_width = wide(&mut facts.targets.keys().map(|name| name.as_str().len()));
    let headings = ["ask", "alone", "once", "appr", "connect"];
    let headings = headings
        .into_iter()
        .chain(CAPABILITIES.map(|(_, heading)| heading));
    let headings: Vec<&str> = headings.collect();
    line(
        &mut text,
        &[("principal", name_width), ("target", target_width)],
        &headings,
    );
    for principal in facts.principals.values() {
        for target in facts.targets.values() {
            let cells = view.cells(principal, target);
            let names = [
                (principal.name.as_str(), name_width),
                (target.name.as_str(), target_width),
            ];
            line(&mut text, &names, &marks(&headings, &cells));
        }
    }
    text.push('\n');
    let headings: Vec<&str> = Office::ALL.iter().map(|office| office.action()).collect();
    line(&mut text, &[("principal", name_width)], &headings);
    for principal in facts.principals.values() {
        let holds = |office| may_office(policies, &clean, &principal.name, office, now).is_ok();
        let cells: Vec<Option<bool>> = Office::ALL.map(|office| Some(holds(office))).to_vec();
        line(
            &mut text,
            &[(principal.name.as_str(), name_width)],
            &marks(&headings, &cells),
        );
    }
    text
}

/// One line: names, then cells as wide as their headings. No blanks at the end.
fn line(text: &mut String, names: &[(&str, usize)], cells: &[impl AsRef<str>]) {
    let mut line = String::new();
    for (name, width) in names {
        line.push_str(name);
        let pad = width.saturating_sub(name.chars().count()).saturating_add(2);
        line.push_str(&" ".repeat(pad));
    }
    let cells: Vec<&str> = cells.iter().map(AsRef::as_ref).collect();
    line.push_str(&cells.join("  "));
    text.push_str(line.trim_end());
    text.push('\n');
}

/// ✔, ✘, or `·` for what makes no sense there, each under its heading.
fn marks(headings: &[&str], cells: &[Option<bool>]) -> Vec<String> {
    let mark = |cell: &Option<bool>| match cell {
        Some(true) => '✔',
        Some(false) => '✘',
        None => '·',
    };
    let padded = |(heading, cell): (&&str, &Option<bool>)| {
        format!(
            "{}{}",
            mark(cell),
            " ".repeat(heading.len().saturating_sub(1))
        )
    };
    headings.iter().zip(cells).map(padded).collect()
}

/// Where and when the table is asked.
struct View<'a> {
    policies: &'a PolicySet,
    facts: &'a Facts,
    source: IpAddr,
    now: Timestamp,
}

impl View<'_> {
    fn cells(&self, principal: &Principal, target: &Target) -> Vec<Option<bool>> {
        let supposed = target
            .logins
            .first()
            .and_then(|login| self.request(principal, target, login));
        let Some(request) = supposed else {
            return Vec::new();
        };
        let View {
            policies,
            facts,
            source,
            now,
        } = *self;
        let asks = may_request(policies, facts, &request, source, now).is_ok();
        let becomes = |request: &Request| {
            asks && activates(policies, facts, request, source, now) != crate::Activation::Waits
        };
        let capabilities = self.capabilities(&request, target.protocol());
        let ours = |capability: Capability| match target.protocol() {
            Protocol::Ssh => capability != Capability::Sql,
            Protocol::Postgres => capability == Capability::Sql,
        };
        let mut cells = vec![
            Some(asks),
            Some(becomes(&request)),
            Some(
                self.approved(&request)
                    .is_some_and(|approved| becomes(&approved)),
            ),
            Some(self.approves(principal, target)),
            Some(capabilities.is_some()),
        ];
        let capabilities = capabilities.unwrap_or_default();
        cells.extend(
            CAPABILITIES.map(|(capability, _)| {
                ours(capability).then(|| capabilities.contains(&capability))
            }),
        );
        cells
    }

    fn request(&self, principal: &Principal, target: &Target, login: &Login) -> Option<Request> {
        let filing = Filing {
            id: RequestId::new(self.now, [0; 10]),
            principal: principal.name.clone(),
            target: target.name.clone(),
            login: login.clone(),
            duration: DURATION,
            reason: Reason::parse("for the matrix").ok()?,
        };
        Request::file(filing, self.now).ok()
    }

    /// The same with the approval of the first who may give it.
    fn approved(&self, request: &Request) -> Option<Request> {
        let View {
            policies,
            facts,
            source,
            now,
        } = *self;
        let may = |name: &&crate::PrincipalName| {
            may_approve(policies, facts, name, request, source, now).is_ok()
        };
        let by = facts.principals.keys().find(may)?.clone();
        let approval = Approval {
            by,
            at: now,
            note: None,
            digest: request.digest(),
            source: Some(source),
            at_most: None,
        };
        request.approve(approval).ok()
    }

    /// Whether this principal may approve anybody's request for this target.
    fn approves(&self, principal: &Principal, target: &Target) -> bool {
        let others = self
            .facts
            .principals
            .values()
            .filter(|other| other.name != principal.name);
        let mut requests =
            others.filter_map(|other| self.request(other, target, target.logins.first()?));
        let View {
            policies,
            facts,
            source,
            now,
        } = *self;
        requests.any(|request| {
            may_approve(policies, facts, &principal.name, &request, source, now).is_ok()
        })
    }

    /// What a grant would allow; `None` if not even to connect.
    fn capabilities(&self, request: &Request, protocol: Protocol) -> Option<crate::Capabilities> {
        let grant = Grant {
            id: GrantId::new(self.now, [0; 10]),
            request: request.id,
            principal: request.principal.clone(),
            target: request.target.clone(),
            login: request.login.clone(),
            starts_at: self.now,
            expires_at: self.now.checked_add(DURATION).ok()?,
            ended: None,
        };
        let ask = Ask {
            principal: request.principal.clone(),
            credential: Credential::Key {
                fingerprint: String::new(),
            },
            source: self.source,
            target: request.target.clone(),
            login: request.login.clone(),
            database: None,
            protocol,
        };
        let facts = Facts {
            grants: [(grant.id, Arc::new(grant))].into(),
            ..self.facts.clone()
        };
        let permit = decide(self.policies, &facts, &ask, self.now).ok()?;
        Some(permit.spend().capabilities)
    }
}
