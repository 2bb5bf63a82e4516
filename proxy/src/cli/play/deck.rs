//! The player's mechanics: where it stands, how fast it goes, what comes next.
//!
//! Reads no clock: time in the recording goes on by what was waited for.

use std::fs::File;
use std::io::BufReader;
use std::time::Duration;

use policies::words::recordings as words;
use recorder::{CARRIED, Channels, Frame, RESTORE, Reader, Sanitiser, Stream, show};

use super::PlayArgs;
use super::beside;
use super::keys::{Key, Keys, size};
use crate::cli::client::chain;
use crate::cli::context::Context;
use crate::cli::failure::{Exit, Failure, Outcome};
use crate::cli::printer::Printer;
use crate::cli::recordings::{beginning, odd};

/// How long to wait before looking at the keys again.
const TICK: Duration = Duration::from_millis(20);
/// How far an arrow moves.
const JUMP: Duration = Duration::from_secs(5);
/// The slowest and the fastest that keys reach.
const SPEEDS: (f64, f64) = (1.0 / 16.0, 256.0);
/// Begins a screen, whatever was on it.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Below everything, so that what comes next does not stand in the picture.
const BELOW: &str = "\x1b[9999;1H\r\n";
/// Leaves the alternate screen, as `RESTORE` does whether it was entered or not.
const LEAVE: &str = "\x1b[?1049l";

/// Something that was shown, and when.
struct Shown {
    at: Duration,
    text: String,
}

/// A recording in play.
struct Deck<'a> {
    args: &'a PlayArgs,
    file: File,
    printer: Printer,
    reader: Reader<BufReader<File>>,
    sanitiser: Sanitiser,
    /// The channel that is shown.
    channel: Option<u32>,
    /// The point in the recording that is on the screen.
    position: Duration,
    speed: f64,
    paused: bool,
    /// What comes next, read ahead.
    next: Option<Shown>,
    /// Whether the picture is on the alternate screen.
    aside: bool,
    /// How the session ended, once that was read.
    ended: Option<String>,
    /// Whether the person had enough while a picture was drawn.
    left: bool,
}

/// What a wait came to.
enum Waited {
    /// The time is up.
    Up,
    /// The person wants something else first.
    Moved,
    /// The person wants no more.
    Quit,
}

/// Plays `file` in this terminal until it ends, or the person has enough.
pub(super) async fn run(context: &Context, file: File, args: &PlayArgs) -> Outcome {
    context.printer.say(words::player_keys());
    let channels = Channels::read(&mut beginning(&args.which, &file)?);
    let shown = channels.shown(args.channel);
    let beside = beside::lines(&args.which, &channels, shown, size());
    let tell = || beside.iter().for_each(|line| context.printer.say(line));
    tell();
    let mut deck = Deck::new(context.printer, file, (args, shown))?;
    let keys = Keys::take().map_err(|error| odd(&args.which, &error.into()))?;
    let played = deck.play(&keys).await;
    let restored = context.printer.text(&format!("{}{BELOW}", deck.restored()));
    drop(keys);
    let ended = deck.ended.as_deref();
    context
        .printer
        .say(&words::played(&show::clock(deck.position), ended));
    tell();
    played.and(restored)
}

impl<'a> Deck<'a> {
    fn new(
        printer: Printer,
        file: File,
        (args, channel): (&'a PlayArgs, Option<u32>),
    ) -> Result<Self, Failure> {
        let reader = beginning(&args.which, &file)?;
        Ok(Self {
            args,
            file,
            printer,
            reader,
            sanitiser: Sanitiser::default(),
            channel,
            position: Duration::ZERO,
            speed: args.speed,
            paused: false,
            next: None,
            aside: false,
            ended: None,
            left: false,
        })
    }

    async fn play(&mut self, keys: &Keys) -> Outcome {
        // What is on the screen is pushed up and stays to be scrolled to.
        let rows = size().map_or(24, |(_, rows)| rows);
        let rows = usize::try_from(rows).unwrap_or(24).min(500);
        self.printer.text(&"\n".repeat(rows))?;
        self.printer.text(CLEAR)?;
        if let Some(at) = self.args.at {
            self.draw_to(at, keys)?;
        }
        while !self.left && self.look_ahead()? {
            match self.wait(keys).await? {
                Waited::Up => self.show()?,
                Waited::Moved => {}
                Waited::Quit => return Ok(()),
            }
        }
        Ok(())
    }

    /// Waits until what comes next is due, obeying keys.
    async fn wait(&mut self, keys: &Keys) -> Result<Waited, Failure> {
        loop {
            for key in keys.pressed() {
                #[expect(
                    clippy::wildcard_enum_match_arm,
                    reason = "every other key is obeyed alike"
                )]
                match key {
                    Key::Quit => return Ok(Waited::Quit),
                    Key::Step if self.paused => return Ok(Waited::Up),
                    other => self.obey(other, keys)?,
                }
                if self.left {
                    return Ok(Waited::Quit);
                }
                if self.next.is_none() {
                    return Ok(Waited::Moved);
                }
            }
            if self.paused {
                tokio::time::sleep(TICK).await;
                continue;
            }
            let Some(due) = self.due() else {
                return Ok(Waited::Up);
            };
            let pause = due.min(TICK);
            tokio::time::sleep(pause).await;
            self.position = self.position.saturating_add(pause.mul_f64(self.speed));
        }
    }

    /// How long until what comes next is due; none when it is. Long waits are cut.
    fn due(&mut self) -> Option<Duration> {
        let next = self.next.as_ref()?.at;
        if let Some(limit) = self.args.idle_limit {
            self.position = self.position.max(next.saturating_sub(limit));
        }
        let ahead = next.saturating_sub(self.position).div_f64(self.speed);
        (!ahead.is_zero()).then_some(ahead)
    }

    fn obey(&mut self, key: Key, keys: &Keys) -> Outcome {
        match key {
            Key::Pause if self.paused => {
                self.paused = false;
                // Takes away what was written over the picture.
                self.draw_to(self.position, keys)
            }
            Key::Pause => {
                self.paused = true;
                self.banner()
            }
            Key::Ahead => self.draw_to(self.position.saturating_add(JUMP), keys),
            Key::Back => self.draw_to(self.position.saturating_sub(JUMP), keys),
            Key::Faster => {
                self.speed = (self.speed * 2.0).min(SPEEDS.1);
                Ok(())
            }
            Key::Slower => {
                self.speed = (self.speed / 2.0).max(SPEEDS.0);
                Ok(())
            }
            Key::Step | Key::Quit => Ok(()),
        }
    }

    /// Says in the last line of the screen where the player stands.
    fn banner(&self) -> Outcome {
        let banner = words::paused(&show::clock(self.position), self.speed);
        self.printer
            .text(&format!("\x1b7\x1b[9999;1H\x1b[7m {banner} \x1b[m\x1b8"))
    }

    /// Draws the picture at `at` from the beginning, without waiting. That may take long, and the terminal
    /// ends nobody's program in raw mode: whoever has enough is heard.
    fn draw_to(&mut self, at: Duration, keys: &Keys) -> Outcome {
        self.reader = beginning(&self.args.which, &self.file)?;
        self.sanitiser = Sanitiser::default();
        self.next = None;
        let mut picture = format!("{}{CLEAR}", self.restored());
        self.aside = false;
        while self.look_ahead()? && self.next.as_ref().is_some_and(|next| next.at <= at) {
            picture.push_str(&self.next.take().map(|next| next.text).unwrap_or_default());
            if picture.len() > PICTURE_MAX {
                self.printer.text(&picture)?;
                picture.clear();
                self.left = keys.pressed().contains(&Key::Quit);
                if self.left {
                    return Ok(());
                }
            }
        }
        self.position = at;
        self.printer.text(&picture)?;
        if self.paused { self.banner() } else { Ok(()) }
    }

    /// What makes the terminal as it was. The alternate screen is left only by who is on it: else the
    /// cursor would jump to wherever it was last saved.
    fn restored(&self) -> String {
        if self.aside {
            return RESTORE.to_owned();
        }
        RESTORE.replace(LEAVE, "")
    }

    fn show(&mut self) -> Outcome {
        match self.next.take() {
            Some(Shown { at, text }) => {
                self.position = self.position.max(at);
                self.printer.text(&text)
            }
            None => Ok(()),
        }
    }

    /// Reads on to what is shown next, and says whether there is anything.
    fn look_ahead(&mut self) -> Result<bool, Failure> {
        while self.next.is_none() {
            let found = self.reader.next_frame().map_err(|found| {
                let words = words::unreadable(&self.args.which, &chain(&found));
                Failure::new(Exit::Unproven, words)
            })?;
            let Some(stamped) = found else {
                return Ok(false);
            };
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a terminal shows output, whatever else is recorded"
            )]
            match stamped.frame {
                Frame::Data {
                    channel,
                    stream: Stream::Output | Stream::ErrorOutput,
                    bytes,
                } if (channel < CARRIED || self.channel.is_some())
                    && *self.channel.get_or_insert(channel) == channel =>
                {
                    let mut text = String::new();
                    self.sanitiser.feed(bytes, &mut text);
                    self.aside = aside(&text).unwrap_or(self.aside);
                    self.next = (!text.is_empty()).then_some(Shown {
                        at: stamped.at,
                        text,
                    });
                }
                // Where files are moved there is nothing else to see.
                Frame::File(operation)
                    if *self.channel.get_or_insert(operation.channel) == operation.channel =>
                {
                    let line = show::line(stamped.at, &stamped.frame).unwrap_or_default();
                    self.next = (!line.is_empty()).then_some(Shown {
                        at: stamped.at,
                        text: line.replace('\n', "\r\n"),
                    });
                }
                Frame::Close { end, .. } => {
                    let (at, end) = (show::clock(stamped.at), end.to_string());
                    self.ended = Some(words::ended(&at, &end));
                }
                _ => {}
            }
        }
        Ok(true)
    }
}

/// Whether text that is shown ends on the alternate screen; none where it changes nothing. Only the
/// forms that the sanitiser passes on.
fn aside(text: &str) -> Option<bool> {
    let last = |sign: &str| text.rfind(sign);
    let entered = ["?1049h", "?1047h", "?47h"]
        .into_iter()
        .filter_map(last)
        .max();
    let left = ["?1049l", "?1047l", "?47l"]
        .into_iter()
        .filter_map(last)
        .max();
    match (entered, left) {
        (None, None) => None,
        (entered, left) => Some(entered > left),
    }
}

/// How much of a picture is gathered before it is printed, in bytes.
const PICTURE_MAX: usize = 64 * 1024;
