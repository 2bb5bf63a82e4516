//! A grant that is revoked while a session is being opened, at whatever the target is slow with: no byte gets to the
//! target after that, and the session never begins.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use proxy::demo::said;
use serde_json::Value;
use tests::footprint::Footprint;
use tests::holdup::Holdup;
use tests::{World, until};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::time;

use crate::{err, out};

/// How long nothing comes of a connection for which there is no room.
const FULL: Duration = Duration::from_millis(500);

/// More messages than it takes to open a session.
const MESSAGES_MAX: u32 = 200;

/// The way to a target, and who goes there.
pub(crate) struct Opening<'a> {
    pub(crate) world: &'a World,
    pub(crate) holdup: &'a Holdup,
    /// The target, the account or role there, and what alice types.
    pub(crate) target: &'a str,
    pub(crate) login: &'a str,
    pub(crate) line: &'a [&'a str],
    /// What becomes of what stood still, afterwards.
    pub(crate) afterwards: Afterwards,
}

/// What becomes of what a target stood still behind.
#[derive(Clone, Copy)]
pub(crate) enum Afterwards {
    /// The target gets it, and goes on.
    GoesOn,
    /// The target never gets it. So whatever it hears was sent later.
    Lost,
}

/// What was to be seen of a session whose grant was revoked while it was being opened.
struct Revoked {
    ran: Output,
    /// How much tidegate had sent before, and in the end.
    sent: (u64, u64),
}

impl Opening<'_> {
    fn begin(&self) -> Child {
        let mut command = self.world.alice().command(self.line);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("it starts")
    }

    /// Has the target stand still behind so many messages, and revokes the grant then. Nothing where there are not so
    /// many before alice has what she came for.
    fn revoked_behind(&self, messages: u32, meanwhile: impl FnOnce()) -> Option<Revoked> {
        let (world, holdup) = (self.world, self.holdup);
        // Before the grant: what it needs there is made with it.
        holdup.arm(messages);
        let grant = world.grant(self.target, self.login, "10m");
        let mut client = self.begin();
        let is_done = |client: &mut Child| !matches!(client.try_wait(), Ok(None));
        let is_open = || holdup.holds() && world.live_sessions().len() == 1;
        until("the target stands still, or the client is done", || {
            (is_done(&mut client) || is_open()).then_some(())
        });
        if is_done(&mut client) {
            holdup.let_on();
            let ran = client.wait_with_output().expect("it has ended");
            assert_eq!(out(&ran), "in\n", "{}", err(&ran));
            world.ended_sessions();
            world.revoke(&grant);
            return None;
        }
        let before = self.all_said(&client);
        meanwhile();
        world.revoke(&grant);
        // Before anybody has heard of it: whatever is not over goes on now.
        match self.afterwards {
            Afterwards::GoesOn => holdup.let_on(),
            Afterwards::Lost => holdup.break_off(),
        }
        until("the client has heard of it", || {
            is_done(&mut client).then_some(())
        });
        let ran = client.wait_with_output().expect("it has ended");
        is_revoked(world);
        until("tidegate has left", || holdup.is_left().then_some(()));
        let sent = (before, holdup.sent());
        Some(Revoked { ran, sent })
    }

    /// How much tidegate has sent, once it waits for an answer: of several messages the last ones come without one,
    /// and some of them take it a while to make, as a proof of who it is does.
    fn all_said(&self, client: &Child) -> u64 {
        let server = self.world.server_pid().expect("the server runs");
        let both = [server, client.id()].map(Footprint::of);
        let mut sent = self.holdup.sent();
        until("tidegate waits, and so does the client", || {
            // As long as it takes to ask something of it.
            self.world.live_sessions();
            let before = std::mem::replace(&mut sent, self.holdup.sent());
            (both.into_iter().all(Footprint::is_idle) && before == sent).then_some(sent)
        })
    }

    /// Revokes behind each message in turn. Gives back how many there are.
    fn check(&self) -> u32 {
        for messages in 0..MESSAGES_MAX {
            let Some(revoked) = self.revoked_behind(messages, || {}) else {
                return messages;
            };
            let Revoked { ran, sent } = revoked;
            assert_eq!(sent.0, sent.1, "bytes at the target, behind {messages}");
            assert!(!ran.status.success(), "behind {messages}");
            assert_eq!(out(&ran), "", "behind {messages}");
            assert!(
                said(&ran).contains("over now"),
                "behind {messages}: {}",
                said(&ran)
            );
        }
        panic!("it never gets through");
    }

    /// Revokes behind every so many of the messages that make what only the grant has there, and go there as it: nobody
    /// comes as it after that, as the target itself counts them by `logins`, and nothing of it stays, as `is_clean` says.
    pub(crate) fn never_lets_in(
        &self,
        step: usize,
        logins: impl Fn() -> usize,
        is_clean: impl Fn(),
    ) {
        for (tried, messages) in (0..MESSAGES_MAX).step_by(step).enumerate() {
            let mut let_in = 0;
            let Some(revoked) = self.revoked_behind(messages, || let_in = logins()) else {
                assert!(tried > 3, "{tried}");
                assert!(logins() > 0, "where nobody revokes anything it is let in");
                is_clean();
                return;
            };
            let ran = revoked.ran;
            assert!(
                !ran.status.success() && out(&ran).is_empty(),
                "behind {messages}"
            );
            assert!(
                said(&ran).contains("over now"),
                "behind {messages}: {}",
                said(&ran)
            );
            is_clean();
            assert_eq!(logins(), let_in, "nobody comes, behind {messages}");
        }
        panic!("it never gets through");
    }
}

/// Waits until no session is live. The last one was ended by the revocation, and by nothing else.
#[track_caller]
fn is_revoked(world: &World) {
    let sessions = world.ended_sessions();
    // Ids begin with the time.
    let last = sessions.iter().max_by_key(|session| session["id"].as_str());
    let last = last.expect("a session");
    let because = last.pointer("/end/cause/reason/because");
    assert_eq!(because, Some(&Value::from("revoked")), "{last}");
}

#[test]
fn a_session_of_a_grant_that_is_revoked_meanwhile_does_not_open_at_a_slow_host() {
    let world = World::new();
    let holdup = Holdup::start(world.sshd().addr());
    let addr = holdup.addr().to_string();
    let login = world.login();
    let line = [
        "tidegate",
        "target",
        "add",
        "ssh",
        "slow",
        "--addr",
        &addr,
        "--login",
        &login,
        "--host-key",
        world.sshd().host_key(),
    ];
    world.bob().run(&line).expect("bob adds it");
    let (port, address) = (world.ssh_port(), format!("{login}+slow@localhost"));
    let opening = Opening {
        world: &world,
        holdup: &holdup,
        target: "slow",
        login: &login,
        line: &["ssh", "-p", &port, &address, "echo in"],
        afterwards: Afterwards::GoesOn,
    };
    let messages = opening.check();
    // Greeting, keys, login, and what opens a channel and begins a program.
    assert!(messages > 5, "{messages}");
}

#[test]
fn a_session_of_a_grant_that_is_revoked_meanwhile_does_not_open_at_a_slow_database() {
    let world = World::new();
    let holdup = Holdup::start(world.postgres().addr());
    let addr = holdup.addr().to_string();
    world.replace_orders(&["--addr", &addr, "--role", proxy::demo::ROLE]);
    let opening = Opening {
        world: &world,
        holdup: &holdup,
        target: "orders",
        login: proxy::demo::ROLE,
        line: &["psql", "-X", "-At", "service=orders", "-c", "select 'in'"],
        afterwards: Afterwards::GoesOn,
    };
    let messages = opening.check();
    // Whether there is TLS, its keys, who comes, and the statement.
    assert!(messages > 3, "{messages}");
}

#[test]
fn a_session_of_a_grant_that_is_revoked_while_its_role_is_made_does_not_open() {
    roles_that_are_made_slowly(5);
}

#[test]
#[ignore = "takes minutes; tests/run --all"]
fn a_session_of_a_grant_that_is_revoked_behind_each_message_that_makes_its_role_does_not_open() {
    roles_that_are_made_slowly(1);
}

/// Revokes behind every so many of the messages that make a role, and go there as it.
fn roles_that_are_made_slowly(step: usize) {
    let world = World::new();
    let holdup = Holdup::start(world.postgres().addr());
    world.have_own_roles_by(holdup.addr());
    let before = world.catalogue();
    let opening = Opening {
        world: &world,
        holdup: &holdup,
        target: "orders",
        login: proxy::demo::ROLE,
        line: &["psql", "-X", "-At", "service=orders", "-c", "select 'in'"],
        afterwards: Afterwards::Lost,
    };
    let log = world.postgres().dir().join("postgres.log");
    let logins = || {
        let log = std::fs::read_to_string(&log).expect("the database has a log");
        log.matches("connection authorized: user=tg_").count()
    };
    opening.never_lets_in(step, logins, || {
        world.no_own_roles();
        until("the catalogue is as it was", || {
            (world.catalogue() == before).then_some(())
        });
    });
}

/// Listens at this port and looks at nobody. The connections that fill the queue are ours.
async fn never_picks_up(port: u16) -> (TcpListener, Vec<TcpStream>) {
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(addr).expect("the port is free");
    let listener = socket.listen(1).expect("it listens");
    let mut waiting = Vec::new();
    // Until the kernel takes no more.
    while let Ok(came) = time::timeout(FULL, TcpStream::connect(addr)).await {
        waiting.push(came.expect("it is taken"));
    }
    (listener, waiting)
}

/// Who has come, in order.
type Callers = Arc<Mutex<Vec<SocketAddr>>>;

/// Looks at everybody who comes from here on, and has them wait.
fn picks_up(runtime: &Runtime, listener: TcpListener) -> Callers {
    let callers = Callers::default();
    let seen = Arc::clone(&callers);
    runtime.spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, from)) = listener.accept().await {
            seen.lock().expect("nobody panics").push(from);
            held.push(stream);
        }
    });
    callers
}

#[test]
fn a_session_of_a_grant_that_is_revoked_meanwhile_does_not_go_to_a_host_that_does_not_pick_up() {
    let world = World::new();
    let port = proxy::demo::free_port().expect("a free port");
    let there = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let key = world.sshd().host_key();
    let login = world.add_ssh("busy", &there.to_string(), key, "10m");
    let grants = world.alice().json(&["grants", "ls"]).expect("she has one");
    let grant = grants.pointer("/items/0/id").and_then(Value::as_str);
    let runtime = Runtime::new().expect("a runtime");
    let (listener, mut ours) = runtime.block_on(never_picks_up(port));
    let (port, address) = (world.ssh_port(), format!("{login}+busy@localhost"));
    let line = ["ssh", "-p", &port, &address, "echo in"];
    let mut command = world.alice().command(line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let client = command.spawn().expect("it starts");
    until("the session is in the ledger", || {
        (world.live_sessions().len() == 1).then_some(())
    });
    world.revoke(grant.expect("its id"));
    // Whoever still wants to come may now.
    let callers = picks_up(&runtime, listener);
    let ran = client.wait_with_output().expect("it ends");
    let told = said(&ran);
    assert!(!ran.status.success() && told.contains("over now"), "{told}");
    is_revoked(&world);
    let last = runtime.block_on(TcpStream::connect(there));
    ours.push(last.expect("there is room again"));
    let own = |stream: &TcpStream| stream.local_addr().expect("it is bound");
    let own: Vec<_> = ours.iter().map(own).collect();
    let callers = until("the last of us is seen", || {
        let callers = callers.lock().expect("nobody panics").clone();
        callers.contains(own.last()?).then_some(callers)
    });
    assert!(
        callers.iter().all(|caller| own.contains(caller)),
        "somebody came"
    );
}
