//! Data that the client copies in, and what it sends while a copy may read that.

use super::owed::{Copied, Owed};
use super::{Pipeline, Violation};

impl Pipeline {
    /// Counts copied data from the client, which cuts it into messages as it likes. Outside of a copy the target
    /// ignores it.
    pub(in super::super) fn copied_in(&mut self, bytes: u32) {
        let copied = Copied {
            rows: 0,
            bytes: bytes.into(),
        };
        if self.copying_in {
            self.moved.take(copied);
        } else if let Some((_owed, data)) = self.owed.back_mut() {
            data.take(copied);
        }
    }

    /// Everything that the client has sent since is read by the copy: what ends it ends it, a Sync
    /// is ignored, and anything else would be swallowed. Unless the copy fails before it reads anything
    /// (`COPY … (FREEZE)`): behind a Sync nothing may stand then but another one.
    pub(super) fn copy_in(&mut self) -> Result<(), Violation> {
        let Some(Owed::Query(_) | Owed::Execute(_)) = self.front() else {
            return Err(Violation::Kind(b'G'));
        };
        let is_simple = matches!(self.front(), Some(Owed::Query(_)));
        let ahead = self.ahead();
        self.moved.take(ahead);
        loop {
            match self.owed.get(1).copied() {
                Some((Owed::Sync, data)) => {
                    self.owed.remove(1);
                    self.moved.take(data);
                    self.ignores_sync();
                    // The batch and its transaction go on until another Sync, unless that is on its way.
                    let is_left = self.owed.iter().any(|(owed, _data)| *owed == Owed::Sync);
                    self.in_batch |= !is_simple && !is_left;
                }
                Some((Owed::CopyEnd, data)) => {
                    self.owed.remove(1);
                    // For the next copy of the same query.
                    if let Some((_owed, ahead)) = self.owed.front_mut() {
                        *ahead = data;
                    }
                    return self.copied_ahead();
                }
                Some((other, _data)) => return Err(Violation::Kind(other.kind())),
                None => {
                    self.copying_in = true;
                    return Ok(());
                }
            }
        }
    }

    /// Takes the data that came behind what is being answered.
    fn ahead(&mut self) -> Copied {
        let front = self.owed.front_mut();
        front.map_or_else(Copied::default, |(_owed, data)| std::mem::take(data))
    }

    /// The data of a copy was sent whole before it began.
    fn copied_ahead(&mut self) -> Result<(), Violation> {
        let mut behind = self.owed.iter().skip(1).map(|(owed, _data)| *owed);
        let behind = behind.find(|one| *one != Owed::CopyEnd);
        match behind {
            Some(Owed::Sync) => self.unsure = false,
            Some(other) if self.unsure => return Err(Violation::Kind(other.kind())),
            Some(_) | None => {}
        }
        Ok(())
    }
}
