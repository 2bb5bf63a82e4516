//! What the target says as it lets us in, before the client has said anything.

use policies::words::recordings::Since;
use recorder::{AppendError, Frame, Stream};

use super::super::account::Account;
use super::Tap;
use crate::postgres::target::back::Notices;
use crate::postgres::wire::scan::Message;

impl Tap {
    /// Takes the notices that came as the target let us in, before they are forwarded. Those that there is no
    /// budget for are dropped.
    pub(crate) fn greeted(
        &mut self,
        notices: &mut Notices,
        account: &impl Account,
    ) -> Result<(), AppendError> {
        if notices.count == 0 {
            return Ok(());
        }
        let bytes = u64::try_from(notices.bytes.len()).unwrap_or(u64::MAX);
        if let Some(words) = account.spends(0, bytes, 0) {
            *notices = Notices::default();
            return account.record_all(&[Frame::Note {
                code: words.code,
                text: &words.what,
            }]);
        }
        account.passes(Stream::Output, notices.bytes.len());
        self.notices = self.notices.saturating_add(notices.count);
        Ok(())
    }

    /// Takes the settings that the target tells of as it lets us in, before they are forwarded: the bodies of its
    /// `ParameterStatus` messages.
    pub(crate) fn begins_with<'a>(
        &mut self,
        statuses: impl IntoIterator<Item = &'a [u8]>,
        account: &impl Account,
    ) -> Result<(), AppendError> {
        for body in statuses {
            let status = Message {
                kind: b'S',
                length: u32::try_from(body.len()).unwrap_or(u32::MAX),
                body,
                digest: None,
                data: &[],
            };
            for told in self.settings.changed(&status, Since::Beginning) {
                account.record_all(&[told.frame()])?;
            }
        }
        Ok(())
    }
}
