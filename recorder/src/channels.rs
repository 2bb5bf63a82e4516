//! What ran in each channel of a session, for players, which show one at a time: who watches one has to learn that
//! there were others.

use std::collections::BTreeMap;
use std::io::Read;

use crate::export::plain::ran;
use crate::frame::{CARRIED, ChannelEvent, Frame, Stream};
use crate::read::Reader;

/// How many channels are told apart. What was opened beyond is counted.
const CHANNELS_MAX: usize = 1024;

/// All channels of one session, but for those that carry a connection.
#[derive(Debug, Default)]
pub struct Channels {
    known: BTreeMap<u32, Known>,
    beyond: bool,
}

#[derive(Debug, Default)]
struct Known {
    ran: Option<String>,
    has_terminal: bool,
    has_output: bool,
    has_files: bool,
}

impl Channels {
    /// Reads what is left of a recording. Where it cannot be read on, what came before counts.
    pub fn read<R: Read>(reader: &mut Reader<R>) -> Self {
        let mut channels = Self::default();
        while let Ok(Some(stamped)) = reader.next_frame() {
            channels.note(&stamped.frame);
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
            .or_else(|| first(|known| known.has_terminal))
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

    fn note(&mut self, frame: &Frame<'_>) {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "whatever else is recorded is of no channel, or shows nothing"
        )]
        match frame {
            Frame::Channel { channel, event } => {
                if let Some(text) = ran(event) {
                    self.with(*channel, |known| {
                        known.ran = known.ran.take().or(Some(text));
                    });
                } else if event.is_refused_terminal() {
                    self.with(*channel, |known| known.has_terminal = false);
                } else if let ChannelEvent::Pty { .. } = event {
                    self.with(*channel, |known| known.has_terminal = true);
                }
            }
            Frame::Data {
                channel,
                stream: Stream::Output | Stream::ErrorOutput,
                ..
            } => self.with(*channel, |known| known.has_output = true),
            Frame::File(operation) => {
                self.with(operation.channel, |known| known.has_files = true);
            }
            _ => {}
        }
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

#[cfg(test)]
mod tests {
    use super::*;

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
        channels.note(&event(
            0,
            ChannelEvent::Exec {
                command: b"uptime\x1b[2J",
            },
        ));
        channels.note(&output(0));
        assert_eq!(channels.shown(None), Some(0));
        channels.note(&event(
            1,
            ChannelEvent::Pty {
                term: "xterm",
                columns: 80,
                rows: 24,
            },
        ));
        let (code, what) = ("TG606", "pty");
        channels.note(&event(1, ChannelEvent::Refused { code, what }));
        assert_eq!(channels.shown(None), Some(0), "the target gave none");
        channels.note(&event(
            1,
            ChannelEvent::Pty {
                term: "xterm",
                columns: 80,
                rows: 24,
            },
        ));
        channels.note(&event(1, ChannelEvent::Shell));
        channels.note(&output(CARRIED));
        channels.note(&event(2, ChannelEvent::Closed));
        assert_eq!(channels.shown(None), Some(1));
        assert_eq!(
            channels.besides(Some(1)),
            (vec![(0, "command: uptime\\u{1b}[2J")], false)
        );
        for channel in 3..2_000 {
            channels.note(&output(channel));
        }
        let (others, more) = channels.besides(Some(1));
        assert_eq!((others.len(), more), (CHANNELS_MAX - 1, true));
        assert_eq!(channels.shown(Some(7)), Some(7), "whoever chooses gets it");
    }
}
