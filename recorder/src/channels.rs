//! What ran in each channel of a session, for players, which show one at a time and of that one what it drew: who
//! watches it has to learn that there were others, and what of this one is in no picture.

use std::collections::BTreeMap;
use std::io::Read;

use policies::words::Shown as _;
use policies::words::ssh::SshSaying;

use crate::export::plain::{line, ran};
use crate::frame::{CARRIED, ChannelEvent, Frame, Stamped, Stream};
use crate::read::Reader;

/// How many channels are told apart. What was opened beyond is counted.
const CHANNELS_MAX: usize = 1024;
/// How many notes are told one by one. What was noted beyond is counted.
const NOTES_MAX: usize = 20;
/// How much of a note is told, in characters.
const NOTE_MAX: usize = 300;

/// All channels of one session, but for those that carry a connection; and what was noted in it.
#[derive(Debug, Default)]
pub struct Channels {
    known: BTreeMap<u32, Known>,
    beyond: bool,
    notes: Vec<String>,
    more_notes: usize,
}

/// What there is of a channel beside its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unseen {
    /// How many bytes it was sent that no terminal echoed, and that are kept.
    pub sent: u64,
    /// How many more such bytes it was sent, that are not kept.
    pub sent_unkept: u64,
    /// How many bytes it showed that are not kept.
    pub shown_unkept: u64,
}

/// The sizes that a channel's terminal had, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screens {
    /// The smallest width.
    pub narrowest: u32,
    /// The largest width.
    pub widest: u32,
    /// The largest height.
    pub highest: u32,
}

/// Whether a terminal was asked for with its echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    On,
    Off,
}

#[derive(Debug, Default)]
struct Known {
    ran: Option<String>,
    terminal: Option<Echo>,
    has_output: bool,
    has_files: bool,
    screens: Option<Screens>,
    /// What it was sent, and what is not kept.
    counted: Unseen,
}

impl Channels {
    /// Reads what is left of a recording. Where it cannot be read on, what came before counts.
    pub fn read<R: Read>(reader: &mut Reader<R>) -> Self {
        let mut channels = Self::default();
        while let Ok(Some(stamped)) = reader.next_frame() {
            channels.note(&stamped);
        }
        channels
    }

    /// The one to show, to whoever plays a session and to whoever exports it as a cast: the one that they chose, else
    /// the first with a terminal, else the first with output, else the first with files.
    pub fn shown(&self, chosen: Option<u32>) -> Option<u32> {
        let first = |has: fn(&Known) -> bool| {
            let mut all = self.known.iter();
            all.find_map(|(number, known)| has(known).then_some(*number))
        };
        chosen
            .or_else(|| first(|known| known.terminal.is_some()))
            .or_else(|| first(|known| known.has_output))
            .or_else(|| first(|known| known.has_files))
    }

    /// Those besides this one, with what ran in each: safe to print. Whether there were more.
    pub fn besides(&self, shown: Option<u32>) -> (Vec<(u32, &str)>, bool) {
        let others = self.known.iter().filter(|(number, known)| {
            let is_empty = known.ran.is_none() && !known.has_output && !known.has_files;
            Some(**number) != shown && !is_empty
        });
        let others = others.map(|(number, known)| (*number, known.ran.as_deref().unwrap_or("-")));
        (others.collect(), self.beyond)
    }

    /// What ran in this one: safe to print.
    pub fn ran(&self, channel: u32) -> Option<&str> {
        self.known.get(&channel)?.ran.as_deref()
    }

    /// What there is of this one beside its picture. What was typed at a terminal that echoes is in the picture.
    pub fn unseen(&self, channel: u32) -> Unseen {
        let Some(known) = self.known.get(&channel) else {
            return Unseen::default();
        };
        if known.terminal == Some(Echo::On) {
            let shown_unkept = known.counted.shown_unkept;
            return Unseen {
                shown_unkept,
                ..Unseen::default()
            };
        }
        known.counted
    }

    /// The sizes that this one's terminal had, if it had one.
    pub fn screens(&self, channel: u32) -> Option<Screens> {
        let known = self.known.get(&channel)?;
        known.screens.filter(|_sizes| known.terminal.is_some())
    }

    /// What was noted or refused in the session: lines that are safe to print, and how many more there were.
    pub fn notes(&self) -> (&[String], usize) {
        (&self.notes, self.more_notes)
    }

    fn note(&mut self, stamped: &Stamped<'_>) {
        match &stamped.frame {
            Frame::Channel { channel, event } => {
                self.event(*channel, event);
                if let ChannelEvent::Refused { .. } = event {
                    self.told(stamped);
                }
            }
            Frame::Data {
                channel,
                stream: Stream::Output | Stream::ErrorOutput,
                ..
            } => self.with(*channel, |known| known.has_output = true),
            Frame::Data {
                channel,
                stream: Stream::Input,
                bytes,
            } => self.with(*channel, |known| {
                let bytes = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                add(&mut known.counted.sent, bytes);
            }),
            Frame::Omitted {
                channel,
                stream,
                bytes,
                ..
            } if *bytes > 0 => self.with(*channel, |known| match stream {
                Stream::Input => add(&mut known.counted.sent_unkept, *bytes),
                Stream::Output | Stream::ErrorOutput => {
                    add(&mut known.counted.shown_unkept, *bytes);
                }
            }),
            Frame::File(operation) => {
                self.with(operation.channel, |known| known.has_files = true);
            }
            Frame::Note { code, text } => self.noted(code, text, stamped),
            Frame::Omitted { .. }
            | Frame::Statement(_)
            | Frame::Outcome(_)
            | Frame::Close { .. } => {}
        }
    }

    fn event(&mut self, channel: u32, event: &ChannelEvent<'_>) {
        if let Some(text) = ran(event) {
            self.with(channel, |known| {
                known.ran = known.ran.take().or(Some(text));
            });
        } else if event.is_refused_terminal() {
            self.with(channel, |known| known.terminal = None);
        } else if let ChannelEvent::Pty { columns, rows, .. } = event {
            self.with(channel, |known| {
                known.terminal = Some(Echo::On);
                known.sized(*columns, *rows);
            });
        } else if let ChannelEvent::Resize { columns, rows } = event {
            self.with(channel, |known| known.sized(*columns, *rows));
        }
    }

    /// A note: of a terminal without an echo it says by its number which channel has it.
    fn noted(&mut self, code: &str, text: &str, stamped: &Stamped<'_>) {
        if code == (SshSaying::NoEcho { channel: 0 }).words().code {
            let channel = text.split(' ').find_map(|word| word.parse().ok());
            if let Some(channel) = channel {
                self.with(channel, |known| {
                    known.terminal = known.terminal.map(|_echo| Echo::Off);
                });
            }
        }
        // What a terminal is like is in every session that has one.
        let (channel, cell, modes) = (0, None, None);
        let usual = SshSaying::Told {
            channel,
            cell,
            modes,
        };
        if code != usual.words().code {
            self.told(stamped);
        }
    }

    fn told(&mut self, stamped: &Stamped<'_>) {
        if self.notes.len() >= NOTES_MAX {
            self.more_notes = self.more_notes.saturating_add(1);
            return;
        }
        let text = line(stamped.at, &stamped.frame).unwrap_or_default();
        let text = text.trim_end();
        let mut told: String = text.chars().take(NOTE_MAX).collect();
        if told.len() < text.len() {
            told.push_str("...]");
        }
        self.notes.push(told);
    }

    fn with(&mut self, channel: u32, note: impl FnOnce(&mut Known)) {
        if channel >= CARRIED {
            return;
        }
        if self.known.len() < CHANNELS_MAX || self.known.contains_key(&channel) {
            note(self.known.entry(channel).or_default());
        } else {
            self.beyond = true;
        }
    }
}

impl Known {
    /// Takes note of a size. A side of no size is not told.
    fn sized(&mut self, columns: u32, rows: u32) {
        if columns == 0 {
            return;
        }
        let before = self.screens.unwrap_or(Screens {
            narrowest: columns,
            widest: columns,
            highest: rows,
        });
        self.screens = Some(Screens {
            narrowest: before.narrowest.min(columns),
            widest: before.widest.max(columns),
            highest: before.highest.max(rows),
        });
    }
}

fn add(to: &mut u64, bytes: u64) {
    *to = to.saturating_add(bytes);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::frame::Omission;

    /// Takes note of a frame that is recorded in the first second.
    fn note(channels: &mut Channels, frame: Frame<'_>) {
        channels.note(&Stamped {
            sequence: 1,
            at: Duration::from_secs(1),
            frame,
        });
    }

    fn data(channel: u32, stream: Stream, bytes: &[u8]) -> Frame<'_> {
        Frame::Data {
            channel,
            stream,
            bytes,
        }
    }

    fn event(channel: u32, event: ChannelEvent<'_>) -> Frame<'_> {
        Frame::Channel { channel, event }
    }

    #[test]
    fn a_terminal_is_shown_before_what_came_first_and_the_rest_is_told() {
        let mut channels = Channels::default();
        let output = |channel| Frame::Data {
            channel,
            stream: Stream::Output,
            bytes: b"hello",
        };
        note(
            &mut channels,
            event(
                0,
                ChannelEvent::Exec {
                    command: b"uptime\x1b[2J",
                },
            ),
        );
        note(&mut channels, output(0));
        assert_eq!(channels.shown(None), Some(0));
        note(
            &mut channels,
            event(
                1,
                ChannelEvent::Pty {
                    term: "xterm",
                    columns: 80,
                    rows: 24,
                },
            ),
        );
        let (code, what) = ("TG606", "pty");
        note(
            &mut channels,
            event(1, ChannelEvent::Refused { code, what }),
        );
        assert_eq!(channels.shown(None), Some(0), "the target gave none");
        note(
            &mut channels,
            event(
                1,
                ChannelEvent::Pty {
                    term: "xterm",
                    columns: 80,
                    rows: 24,
                },
            ),
        );
        note(&mut channels, event(1, ChannelEvent::Shell));
        note(&mut channels, output(CARRIED));
        note(&mut channels, event(2, ChannelEvent::Closed));
        assert_eq!(channels.shown(None), Some(1));
        assert_eq!(
            channels.besides(Some(1)),
            (vec![(0, "command: uptime\\u{1b}[2J")], false)
        );
        for channel in 3..2_000 {
            note(&mut channels, output(channel));
        }
        let (others, more) = channels.besides(Some(1));
        assert_eq!((others.len(), more), (CHANNELS_MAX - 1, true));
        assert_eq!(channels.shown(Some(7)), Some(7), "whoever chooses gets it");
    }

    #[test]
    fn what_ran_and_what_it_was_sent_unseen_is_told() {
        let mut channels = Channels::default();
        note(
            &mut channels,
            event(0, ChannelEvent::Exec { command: b"bash" }),
        );
        note(&mut channels, data(0, Stream::Input, b"rm -f x1\n"));
        let (why, digest) = (Omission::Bulk, None);
        for (channel, stream) in [(0, Stream::Input), (0, Stream::Output), (1, Stream::Input)] {
            let bytes = 5;
            let frame = Frame::Omitted {
                channel,
                stream,
                bytes,
                why,
                digest,
            };
            note(&mut channels, frame.clone());
            note(&mut channels, frame);
        }
        assert_eq!(channels.ran(0), Some("command: bash"));
        let (sent, sent_unkept, shown_unkept) = (9, 10, 10);
        let all = Unseen {
            sent,
            sent_unkept,
            shown_unkept,
        };
        assert_eq!(channels.unseen(0), all);
        let (term, columns, rows) = ("xterm", 80, 24);
        let terminal = ChannelEvent::Pty {
            term,
            columns,
            rows,
        };
        note(&mut channels, event(1, terminal));
        assert_eq!(channels.unseen(1), Unseen::default(), "it echoes");
        let words = SshSaying::NoEcho { channel: 1 }.words();
        let (code, text) = (words.code, words.what.as_str());
        note(&mut channels, Frame::Note { code, text });
        let (sent, shown_unkept) = (0, 0);
        let typed = Unseen {
            sent,
            sent_unkept,
            shown_unkept,
        };
        assert_eq!(channels.unseen(1), typed, "it does not");
        assert_eq!(channels.unseen(7), Unseen::default());
    }

    #[test]
    fn the_sizes_of_a_terminal_are_the_narrowest_and_the_widest() {
        let mut channels = Channels::default();
        let (term, columns, rows) = ("xterm", 20, 24);
        let terminal = ChannelEvent::Pty {
            term,
            columns,
            rows,
        };
        note(&mut channels, event(0, terminal));
        for (columns, rows) in [(0, 0), (100, 20)] {
            let resized = ChannelEvent::Resize { columns, rows };
            note(&mut channels, event(0, resized));
        }
        let (narrowest, widest, highest) = (20, 100, 24);
        let sizes = Screens {
            narrowest,
            widest,
            highest,
        };
        assert_eq!(channels.screens(0), Some(sizes));
        let (code, what) = ("TG606", "pty");
        note(
            &mut channels,
            event(0, ChannelEvent::Refused { code, what }),
        );
        assert_eq!(channels.screens(0), None, "the target gave none");
    }

    #[test]
    fn notes_and_refusals_are_told_and_counted_beyond_twenty() {
        let mut channels = Channels::default();
        let words = SshSaying::NoEcho { channel: 0 }.words();
        let (code, text) = (words.code, words.what.as_str());
        note(&mut channels, Frame::Note { code, text });
        let (cell, modes) = (Some((8, 16)), None);
        let usual = SshSaying::Told {
            channel: 0,
            cell,
            modes,
        };
        let (code, text) = (usual.words().code, "a terminal");
        note(&mut channels, Frame::Note { code, text });
        let long = "x\x1b[2J".repeat(NOTE_MAX);
        let (code, what) = ("TG603", long.as_str());
        for _each in 0..NOTES_MAX + 4 {
            note(
                &mut channels,
                event(3, ChannelEvent::Refused { code, what }),
            );
        }
        let (notes, more) = channels.notes();
        assert_eq!((notes.len(), more), (NOTES_MAX, 5));
        assert!(notes[0].contains("TG618 on channel 0"), "{notes:?}");
        assert!(notes[1].contains("refused: TG603 x\\u{1b}[2J"), "{notes:?}");
        assert!(
            notes
                .iter()
                .all(|told| told.chars().count() <= NOTE_MAX + 4)
        );
    }
}
