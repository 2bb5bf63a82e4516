//! What a grant in force allows: one question to Cedar for each thing one might do with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use cedar_policy::{Context, RestrictedExpression};

use crate::file::FileRules;
use crate::held::Seconds;
use crate::slice::Slice;
use crate::verdict::{Pairs, Reading, Scene, Verdict, ask, datetime, pair, session};
use crate::{
    Capabilities, Capability, Carrier, DatabaseName, Deed, Denial, Extent, FileAccess, FileDeed,
    Grant, InputRecording, Obligations, Part, PolicySet, Principal, Protocol, SqlKind,
    SqlStatement, Target, file, statement,
};

/// What a grant in force allows to whoever comes from one address, as things stood at one instant:
/// everything that stays the same between the questions about it.
///
/// Putting it together costs as much as several questions. Does not notice when facts or policies change.
#[derive(Debug)]
pub struct Usage {
    pub(crate) policies: PolicySet,
    slice: Slice,
    context: Context,
    /// What was answered to questions without details, by the [class](crate::question::Rules::class) of
    /// the policies that answered: nothing else that they look at is another for another action.
    answers: Mutex<BTreeMap<usize, Verdict>>,
    binds_files: OnceLock<bool>,
}

/// Said when no policy permits what a grant would cover.
pub(crate) const NOTHING_PERMITS: &str = "No policy allows it.";

/// Said where rules about files would be no rules if this were allowed.
pub(crate) const FILES_ARE_BOUND: &str = "What files may be touched is limited here, so only sftp, scp and rsync are open, as plain commands, and no sockets in the file system.";

/// Said where a name below the home may be one that is forbidden by its whole name.
pub(crate) const NAME_IS_RELATIVE: &str = "Files are closed by their whole names here, and where the home of this account is, tidegate does not know: give the whole name.";

/// Said where a whole name may be one below the home that is forbidden.
pub(crate) const HOME_IS_UNKNOWN: &str = "Files below the home are closed here, and where the home of this account is, tidegate does not know: this may be one of them.";

/// What policies could not do.
pub(crate) const POLICIES_FAILED: Denial = Denial::Unavailable {
    part: Part::Policies,
};

impl Usage {
    /// Puts together who, what and when.
    pub(crate) fn build(
        scene: &Scene<'_>,
        principal: &Principal,
        target: &Target,
        grant: &Grant,
    ) -> Result<Self, Denial> {
        let slice = Slice::of_use(scene, principal, target);
        let (slice, session) = slice.zip(session(scene)).ok_or(POLICIES_FAILED)?;
        let account = RestrictedExpression::new_string(grant.login.to_string());
        let context = Context::from_pairs([
            pair("session", session),
            pair("account", account),
            pair("grantExpires", datetime(grant.expires_at)),
            // There is no session without a recording: nothing can switch it off.
            pair("recorded", RestrictedExpression::new_bool(true)),
        ]);
        // The error says which value Cedar cannot hold; nobody who is refused may be told.
        let context = context.map_err(|_unfit| POLICIES_FAILED)?;
        Ok(Self {
            policies: scene.policies.clone(),
            slice,
            context,
            answers: Mutex::default(),
            binds_files: OnceLock::new(),
        })
    }

    /// Whether this deed is allowed.
    pub(crate) fn allow(&self, deed: &Deed) -> Result<(), Denial> {
        steps(deed)
            .into_iter()
            .try_for_each(|(action, details)| accept(self.ask(Reading::Written, action, details)))
    }

    /// Whether a session may be in another database than the one that its target stands for.
    pub(crate) fn allow_database(&self, database: &DatabaseName) -> Result<(), Denial> {
        let details = database_details(database);
        match self.ask(Reading::Written, "otherDatabase", details) {
            Verdict::Silent => Err(Denial::Forbidden {
                policy: String::new(),
                reason: format!(
                    "`{database}` is another database than the one this target stands for, and no policy lets you into it."
                ),
            }),
            said @ (Verdict::Permitted(_) | Verdict::Forbidden { .. } | Verdict::Failed) => {
                accept(said)
            }
        }
    }

    /// Whether a statement is allowed with these people behind it.
    pub(crate) fn allow_seconded(
        &self,
        statement: &SqlStatement,
        seconds: &Seconds,
    ) -> Result<(), Denial> {
        let nouns = self.policies.nouns();
        let met = seconds
            .quorums
            .iter()
            .map(|name| RestrictedExpression::new_entity_uid(nouns.quorum(name)));
        let met: Vec<RestrictedExpression> = met.collect();
        statement.kind.actions().iter().try_for_each(|action| {
            let mut details = facts_of(statement);
            details.extend(standing(seconds.approvals, met.clone()));
            accept(self.ask(Reading::Written, action, details))
        })
    }

    /// Whether this deed is allowed where files are asked about one by one.
    pub(crate) fn allow_bound(&self, deed: &Deed) -> Result<(), Denial> {
        if let Deed::File(file) = deed {
            return self.allow_file(file);
        }
        if matches!(deed, Deed::Subsystem { name } if name == "sftp") {
            return self.allow_sftp();
        }
        self.allow(deed)?;
        // It could read and write whatever the account can.
        let any = self.ask(Reading::Written, "anyFile", Vec::new());
        if any == Verdict::Silent {
            return Err(Denial::Forbidden {
                policy: String::new(),
                reason: FILES_ARE_BOUND.to_owned(),
            });
        }
        accept(any)
    }

    /// Whether a file may be touched. What carries it need not be permitted, but must not be
    /// forbidden.
    pub(crate) fn allow_file(&self, file: &FileDeed) -> Result<(), Denial> {
        let carrier = match &file.carrier {
            Carrier::Sftp => {
                self.ask_blank(Reading::Written, file.access.sftp_action(), Vec::new())
            }
            Carrier::Command(command) => {
                self.ask(Reading::Written, "exec", command_details(command))
            }
        };
        if carrier != Verdict::Silent {
            accept(carrier)?;
        }
        let reading = match file.extent {
            Extent::One => Reading::Written,
            Extent::Tree => Reading::Tight,
        };
        self.policies
            .file_rules()
            .samples(&file.path, file.extent)
            .iter()
            .try_for_each(|path| {
                accept(self.ask(reading, file.access.action(), path_details(path)))
            })?;
        self.allow_by_other_names(file, reading)
    }

    /// Whether no policy forbids a file by another name that it may have, as nobody knows where the account's home is.
    /// What permits it has been asked.
    fn allow_by_other_names(&self, file: &FileDeed, reading: Reading) -> Result<(), Denial> {
        let rules = self.policies.file_rules();
        let names = rules.other_names(&file.path, file.extent);
        names.iter().try_for_each(|name| {
            match self.ask(reading, file.access.action(), path_details(name)) {
                Verdict::Forbidden { policy, .. } => {
                    let is_relative = file.path.starts_with('~');
                    let reason = if is_relative {
                        NAME_IS_RELATIVE
                    } else {
                        HOME_IS_UNKNOWN
                    };
                    let reason = reason.to_owned();
                    Err(Denial::Forbidden { policy, reason })
                }
                Verdict::Failed => Err(POLICIES_FAILED),
                Verdict::Permitted(_) | Verdict::Silent => Ok(()),
            }
        })
    }

    /// Whether SFTP may begin: some files may be touched over it.
    fn allow_sftp(&self) -> Result<(), Denial> {
        match (self.way(FileAccess::Read), self.way(FileAccess::Write)) {
            (Err(denial), Err(_)) => Err(denial),
            _ => Ok(()),
        }
    }

    /// Whether some files may be touched in this way over SFTP, as far as can be foreseen.
    fn way(&self, access: FileAccess) -> Result<(), Denial> {
        let carrier = self.ask(Reading::Written, access.sftp_action(), Vec::new());
        if carrier != Verdict::Silent {
            accept(carrier)?;
        }
        accept(self.ask(Reading::Foresight, access.action(), path_details("")))
    }

    /// Whether there are files that may not be touched, so that each has to be asked about.
    pub(crate) fn binds_files(&self) -> bool {
        *self.binds_files.get_or_init(|| {
            let rules = self.policies.file_rules();
            *rules != FileRules::Absent
                && !rules.samples_of_all().iter().all(|path| {
                    file::ACTIONS.iter().all(|action| {
                        self.ask(Reading::Tight, action, path_details(path))
                            .permits()
                    })
                })
        })
    }

    pub(crate) fn ask(&self, reading: Reading, action: &str, details: Pairs) -> Verdict {
        if details.is_empty() {
            return ask(
                &self.policies,
                reading,
                &self.slice,
                action,
                self.context.clone(),
            );
        }
        let Ok(details) = Context::from_pairs(details) else {
            return Verdict::Failed;
        };
        match self.context.clone().merge(details) {
            Ok(context) => ask(&self.policies, reading, &self.slice, action, context),
            Err(_) => Verdict::Failed,
        }
    }

    /// What may be done, as far as it can be said before it is done.
    pub(crate) fn capabilities(&self, protocol: Protocol) -> Result<Capabilities, Denial> {
        if protocol == Protocol::Postgres {
            // `connect` has been asked; what each statement does is asked when it comes.
            return Ok(Capabilities::from([Capability::Sql]));
        }
        let mut capabilities = Capabilities::new();
        for (capability, action, details) in [
            (Capability::Shell, "shell", Vec::new()),
            (Capability::Exec, "exec", command_details("")),
            (Capability::SftpRead, "sftpRead", Vec::new()),
            (Capability::SftpWrite, "sftpWrite", Vec::new()),
            (
                Capability::ForwardPort,
                "forwardPort",
                address_details("", 0),
            ),
            (
                Capability::ReversePort,
                "reversePort",
                address_details("", 0),
            ),
            (Capability::ForwardAgent, "forwardAgent", Vec::new()),
            (Capability::ForwardX11, "forwardX11", Vec::new()),
        ] {
            if self.foresee(action, details)? {
                capabilities.insert(capability);
            }
        }
        if self.binds_files() {
            self.bind(&mut capabilities)?;
        }
        Ok(capabilities)
    }

    /// What may be done where files are asked about one by one: commands only by a permit for any
    /// file, and files without one for SFTP.
    fn bind(&self, capabilities: &mut Capabilities) -> Result<(), Denial> {
        if !self.foresee("anyFile", Vec::new())? {
            capabilities.remove(&Capability::Shell);
            capabilities.remove(&Capability::Exec);
        }
        for (access, capability) in [
            (FileAccess::Read, Capability::SftpRead),
            (FileAccess::Write, Capability::SftpWrite),
        ] {
            if self.foresee(access.action(), path_details(""))? {
                capabilities.insert(capability);
            } else {
                capabilities.remove(&capability);
            }
        }
        Ok(())
    }

    /// What must be done.
    pub(crate) fn obligations(&self, protocol: Protocol) -> Result<Obligations, Denial> {
        let kept = protocol == Protocol::Ssh && self.foresee("keepInput", Vec::new())?;
        let input = if kept {
            InputRecording::Kept
        } else {
            InputRecording::Counted
        };
        Ok(Obligations { input })
    }

    /// Whether every statement is permitted, as far as can be said without one: only where no policy
    /// looks at what a statement says.
    pub(crate) fn permits_any_statement(&self) -> bool {
        let blank = SqlStatement::new(SqlKind::Other);
        statement::ACTIONS.iter().all(|action| {
            let blank = statement_details(&blank);
            self.ask_blank(Reading::Written, action, blank).permits()
        })
    }

    /// Which kinds of statements may be permitted, as far as can be said without one.
    pub(crate) fn statement_kinds(&self) -> Result<BTreeSet<SqlKind>, Denial> {
        let blank = SqlStatement::new(SqlKind::Other);
        let mut kinds = BTreeSet::new();
        for kind in SqlKind::READABLE {
            for action in kind.actions() {
                if self.foresee(action, statement_details(&blank))? {
                    kinds.insert(kind);
                }
            }
        }
        Ok(kinds)
    }

    /// Asks with details that are none, and that these policies do not look at.
    fn ask_blank(&self, reading: Reading, action: &str, blank: Pairs) -> Verdict {
        let question = self.policies.question(action);
        let class = question.and_then(|question| question.rules(reading).class);
        let Some(class) = class else {
            return self.ask(reading, action, blank);
        };
        if let Some(answer) = self.answers().get(&class) {
            return answer.clone();
        }
        let answer = self.ask(reading, action, blank);
        self.answers().insert(class, answer.clone());
        answer
    }

    fn answers(&self) -> MutexGuard<'_, BTreeMap<usize, Verdict>> {
        // An answer is put in whole; a panic cannot leave it half done.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn foresee(&self, action: &str, details: Pairs) -> Result<bool, Denial> {
        let reading = if details.is_empty() {
            Reading::Written
        } else {
            Reading::Foresight
        };
        match self.ask_blank(reading, action, details) {
            Verdict::Permitted(_) => Ok(true),
            Verdict::Forbidden { .. } | Verdict::Silent => Ok(false),
            Verdict::Failed => Err(POLICIES_FAILED),
        }
    }
}

/// The Cedar actions behind a deed, each with what it says about the details.
fn steps(deed: &Deed) -> Vec<(&'static str, Pairs)> {
    match deed {
        Deed::Connect => vec![("connect", Vec::new())],
        Deed::OtherDatabase { database } => vec![("otherDatabase", database_details(database))],
        Deed::Shell => vec![("shell", Vec::new())],
        Deed::Exec { command } => vec![("exec", command_details(command))],
        Deed::Subsystem { name } if name == "sftp" => {
            vec![("sftpRead", Vec::new()), ("sftpWrite", Vec::new())]
        }
        Deed::Subsystem { name } => vec![("exec", command_details(name))],
        Deed::ForwardPort { host, port } => vec![("forwardPort", address_details(host, *port))],
        Deed::ReversePort { host, port } => vec![("reversePort", address_details(host, *port))],
        Deed::ForwardAgent => vec![("forwardAgent", Vec::new())],
        Deed::ForwardX11 => vec![("forwardX11", Vec::new())],
        Deed::Statement(statement) => {
            let each = statement.kind.actions().iter();
            each.map(|action| (*action, statement_details(statement)))
                .collect()
        }
        Deed::File(file) => vec![(file.access.action(), path_details(&file.path))],
    }
}

/// A verdict on the use of a grant as its holder hears it.
fn accept(verdict: Verdict) -> Result<(), Denial> {
    match verdict {
        Verdict::Permitted(_) => Ok(()),
        Verdict::Forbidden { policy, reason } => Err(Denial::Forbidden { policy, reason }),
        Verdict::Silent => Err(Denial::Forbidden {
            policy: String::new(),
            reason: NOTHING_PERMITS.to_owned(),
        }),
        Verdict::Failed => Err(POLICIES_FAILED),
    }
}

fn command_details(command: &str) -> Pairs {
    vec![pair(
        "command",
        RestrictedExpression::new_string(command.to_owned()),
    )]
}

fn database_details(database: &DatabaseName) -> Pairs {
    let name = RestrictedExpression::new_string(database.to_string());
    vec![pair("database", name)]
}

fn path_details(path: &str) -> Pairs {
    vec![pair(
        "path",
        RestrictedExpression::new_string(path.to_owned()),
    )]
}

fn address_details(host: &str, port: u16) -> Pairs {
    vec![
        pair("host", RestrictedExpression::new_string(host.to_owned())),
        pair("port", RestrictedExpression::new_long(i64::from(port))),
    ]
}

/// What policies see of a statement behind which nobody stands.
fn statement_details(statement: &SqlStatement) -> Pairs {
    let mut details = facts_of(statement);
    details.extend(standing(0, Vec::new()));
    details
}

/// Who stands behind a statement.
fn standing(approvals: i64, quorums: Vec<RestrictedExpression>) -> Pairs {
    vec![
        pair("approvals", RestrictedExpression::new_long(approvals)),
        pair("quorums", RestrictedExpression::new_set(quorums)),
    ]
}

fn facts_of(statement: &SqlStatement) -> Pairs {
    let names = |names: &BTreeSet<String>| {
        RestrictedExpression::new_set(names.iter().cloned().map(RestrictedExpression::new_string))
    };
    let parsed = statement.kind != SqlKind::Unknown;
    let mut pairs = vec![
        pair("relations", names(&statement.relations)),
        pair("functions", names(&statement.functions)),
        pair("parsed", RestrictedExpression::new_bool(parsed)),
    ];
    if let Some(has_where) = statement.has_where {
        pairs.push(pair("hasWhere", RestrictedExpression::new_bool(has_where)));
    }
    pairs
}
