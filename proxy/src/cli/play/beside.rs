//! What is told before and after a recording is played: what the picture does not show.

use policies::words::recordings as words;
use recorder::{Channels, Screens, Unseen};

/// What there is beside the picture of this channel, a line each. `here` is the size of this terminal.
pub(super) fn lines(
    which: &str,
    channels: &Channels,
    shown: Option<u32>,
    here: Option<(u32, u32)>,
) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(channel) = shown {
        let ran = channels.ran(channel).unwrap_or("-");
        lines.push(words::played_channel(channel, ran));
        let Unseen {
            sent,
            sent_unkept,
            shown_unkept,
        } = channels.unseen(channel);
        lines.extend(words::sent_unseen(which, sent, sent_unkept));
        lines.extend(words::shown_unkept(shown_unkept));
        if let (Some(recorded), Some(here)) = (channels.screens(channel), here) {
            lines.extend(screens(which, recorded, here));
        }
    }
    let (notes, more) = channels.notes();
    lines.extend_from_slice(notes);
    lines.extend(words::more_notes(which, more));
    let (others, more) = channels.besides(shown);
    lines.extend(words::other_channels(which, &others, more));
    lines
}

/// What to know where the recorded screen was another than this one.
fn screens(which: &str, recorded: Screens, here: (u32, u32)) -> Vec<String> {
    let mut lines = Vec::new();
    if recorded.widest > here.0 || recorded.highest > here.1 {
        lines.push(words::small_screen(
            (recorded.widest, recorded.highest),
            here,
        ));
    }
    if recorded.narrowest < here.0 {
        lines.push(words::wide_screen(which, recorded.narrowest, here.0));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check((narrowest, widest, highest): (u32, u32, u32), here: (u32, u32), want: &[&str]) {
        let recorded = Screens {
            narrowest,
            widest,
            highest,
        };
        let lines = screens("last", recorded, here);
        assert_eq!(lines.len(), want.len(), "{lines:?}");
        for (line, want) in lines.iter().zip(want) {
            assert!(line.contains(want), "{line}");
        }
    }

    #[test]
    fn a_screen_that_was_narrower_or_larger_is_told() {
        check((80, 80, 24), (80, 24), &[]);
        check((80, 80, 24), (80, 50), &[]);
        check((20, 20, 24), (120, 40), &["resize-window -x 20"]);
        check((100, 100, 24), (80, 24), &["lines may break"]);
        check((79, 81, 24), (80, 24), &["lines may break", "79 columns"]);
    }

    #[test]
    fn where_nothing_is_shown_there_is_nothing_to_tell() {
        let lines = lines("last", &Channels::default(), None, Some((80, 24)));
        assert_eq!(lines, Vec::<String>::new());
    }
}
