//! Segments: runs of whole frames, compressed, each readable by itself.
//!
//! A recording file is a sequence of zstd frames (RFC 8878), so `zstd -dc` unpacks it. Ours are
//! told by skippable frames (RFC 8878, 3.1.2): one opens the file, one stands before each segment
//! and says what is in it, one holds the checkpoint. Compression contexts belong to the thread,
//! not to the recording.

use std::cell::RefCell;
use std::io;

use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::{CParameter, DParameter, compress_bound};

use crate::chain::{Digest, TAG, sha256, tag};
use crate::codec::PAYLOAD_MAX;

/// The magic number of the skippable frame that opens a file.
const FILE: u32 = 0x184D_2A50;
/// The magic number of the skippable frame before each segment.
const SEGMENT: u32 = 0x184D_2A51;
/// The magic number of the skippable frame that holds the checkpoint.
const CHECKPOINT: u32 = 0x184D_2A52;
/// What every file begins with, inside its first skippable frame.
const TITLE: &[u8] = b"tidegate recording 1\n";
/// A skippable frame's magic number and length.
pub(crate) const SKIP: usize = 8;
/// What a segment's skippable frame holds.
const SEGMENT_BODY: usize = 8 + 4 + 4 + 4 + 8 + TAG;
/// What stands before a segment's packed bytes.
pub(crate) const SEGMENT_HEADER: usize = SKIP + SEGMENT_BODY;

/// How large an open segment grows before it is packed, in bytes.
pub(crate) const SEGMENT_TARGET: usize = 256 * 1024;
/// The largest segment that a reader accepts, unpacked, in bytes: a full one, one more call of
/// `append_all`, and the close. It bounds what reading a hostile file can make us hold.
pub(crate) const SEGMENT_MAX: usize = SEGMENT_TARGET + PAYLOAD_MAX + 256 * 1024;
/// The largest checkpoint that a reader accepts, in bytes.
pub(crate) const CHECKPOINT_MAX: usize = 16 * 1024;
/// The largest window that a reader accepts, as a power of two: what level 1 uses is far below.
const WINDOW_LOG_MAX: u32 = 23;
/// Fast: terminal data goes at some 570 MiB/s, to 0.15 of its size.
const LEVEL: i32 = 1;

/// What stands before a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    /// The number of its first frame.
    pub(crate) first: u64,
    /// How many frames it has.
    pub(crate) frames: u32,
    /// How many bytes they have, unpacked.
    pub(crate) unpacked: u32,
    /// How many bytes follow this header.
    pub(crate) packed: u32,
    /// The time of its first frame, in µs: for seeking.
    pub(crate) at_us: u64,
    /// The [`Container`] before it, cut to 8 bytes.
    pub(crate) container: [u8; TAG],
}

/// The running digest over the segments as they stand in the file, headers included. Two different
/// files can unpack to the same frames; with this in the checkpoint, only one of them verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Container(pub(crate) Digest);

impl Container {
    pub(crate) fn start() -> Self {
        Self(sha256(&[TITLE]))
    }

    pub(crate) fn cover(&mut self, segment: &[&[u8]]) {
        let parts = sha256(segment);
        self.0 = sha256(&[&self.0, &parts]);
    }
}

/// What a skippable frame of ours announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Announced {
    /// A segment: its header's body follows.
    Segment,
    /// A checkpoint of so many bytes.
    Checkpoint(usize),
}

/// The bytes that open a file.
pub(crate) fn opening() -> Vec<u8> {
    skippable(FILE, TITLE)
}

/// The bytes that carry a checkpoint.
pub(crate) fn checkpoint(text: &str) -> Vec<u8> {
    skippable(CHECKPOINT, text.as_bytes())
}

fn skippable(magic: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    [&magic.to_le_bytes(), &length.to_le_bytes(), body].concat()
}

/// Reads the eight bytes that begin a skippable frame.
pub(crate) fn announced(bytes: [u8; SKIP]) -> Option<Announced> {
    let [a, b, c, d, rest @ ..] = bytes;
    let length = usize::try_from(u32::from_le_bytes(rest)).ok()?;
    match u32::from_le_bytes([a, b, c, d]) {
        SEGMENT if length == SEGMENT_BODY => Some(Announced::Segment),
        CHECKPOINT if length <= CHECKPOINT_MAX => Some(Announced::Checkpoint(length)),
        _ => None,
    }
}

impl SegmentHeader {
    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&SEGMENT.to_le_bytes());
        to.extend_from_slice(
            &u32::try_from(SEGMENT_BODY)
                .unwrap_or(u32::MAX)
                .to_le_bytes(),
        );
        to.extend_from_slice(&self.first.to_le_bytes());
        to.extend_from_slice(&self.frames.to_le_bytes());
        to.extend_from_slice(&self.unpacked.to_le_bytes());
        to.extend_from_slice(&self.packed.to_le_bytes());
        to.extend_from_slice(&self.at_us.to_le_bytes());
        to.extend_from_slice(&self.container);
    }

    /// Reads what follows the eight bytes of [`Announced::Segment`]. Refuses what no writer makes.
    pub(crate) fn decode(body: &[u8]) -> Option<Self> {
        let (first, body) = body.split_first_chunk()?;
        let (frames, body) = body.split_first_chunk()?;
        let (unpacked, body) = body.split_first_chunk()?;
        let (packed, body) = body.split_first_chunk()?;
        let (at_us, body) = body.split_first_chunk()?;
        let (container, []) = body.split_first_chunk()? else {
            return None;
        };
        let header = Self {
            first: u64::from_le_bytes(*first),
            frames: u32::from_le_bytes(*frames),
            unpacked: u32::from_le_bytes(*unpacked),
            packed: u32::from_le_bytes(*packed),
            at_us: u64::from_le_bytes(*at_us),
            container: *container,
        };
        let unpacked = usize::try_from(header.unpacked).ok()?;
        let packed = usize::try_from(header.packed).ok()?;
        let sound =
            header.frames > 0 && unpacked <= SEGMENT_MAX && packed <= compress_bound(unpacked);
        sound.then_some(header)
    }
}

/// The buffers and the context that one thread packs with.
struct Packer {
    compressor: Compressor<'static>,
    out: Vec<u8>,
}

thread_local! {
    static PACKER: RefCell<Option<Packer>> = const { RefCell::new(None) };
}

/// What to pack.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unpacked<'a> {
    pub(crate) first: u64,
    pub(crate) frames: u32,
    pub(crate) at_us: u64,
    pub(crate) bytes: &'a [u8],
}

/// Packs `segment` and hands header and packed bytes, in one piece, to `write`; then moves
/// `container` over them.
pub(crate) fn pack<T>(
    segment: Unpacked<'_>,
    container: &mut Container,
    write: impl FnOnce(&[u8]) -> io::Result<T>,
) -> io::Result<T> {
    PACKER.with_borrow_mut(|packer| {
        let packer = match packer {
            Some(packer) => packer,
            None => packer.insert(Packer {
                compressor: compressor()?,
                out: Vec::new(),
            }),
        };
        packer.pack(segment, container)?;
        let written = write(&packer.out)?;
        container.cover(&[&packer.out]);
        if packer.out.capacity() > SCRATCH_KEPT {
            packer.out = Vec::new();
        }
        Ok(written)
    })
}

/// The largest buffer that a thread keeps between uses, in bytes.
pub(crate) const SCRATCH_KEPT: usize = 1024 * 1024;

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ContentSizeFlag(true))?;
    Ok(compressor)
}

impl Packer {
    fn pack(&mut self, segment: Unpacked<'_>, container: &Container) -> io::Result<()> {
        self.out.clear();
        self.out
            .reserve(SEGMENT_HEADER.saturating_add(compress_bound(segment.bytes.len())));
        let mut header = SegmentHeader {
            first: segment.first,
            frames: segment.frames,
            unpacked: u32::try_from(segment.bytes.len()).map_err(io::Error::other)?,
            packed: 0,
            at_us: segment.at_us,
            container: tag(&container.0),
        };
        header.encode(&mut self.out);
        let mut body = io::Cursor::new(&mut self.out);
        body.set_position(SEGMENT_HEADER as u64);
        let packed = self
            .compressor
            .compress_to_buffer(segment.bytes, &mut body)?;
        header.packed = u32::try_from(packed).map_err(io::Error::other)?;
        let mut head = Vec::with_capacity(SEGMENT_HEADER);
        header.encode(&mut head);
        for (to, from) in self.out.iter_mut().zip(head) {
            *to = from;
        }
        Ok(())
    }
}

/// Unpacks `packed` into `to`, which then holds exactly what the header promised.
pub(crate) fn unpack(header: &SegmentHeader, packed: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
    let promised = usize::try_from(header.unpacked).map_err(io::Error::other)?;
    let real = zstd::zstd_safe::get_frame_content_size(packed)
        .ok()
        .flatten();
    if real != Some(u64::from(header.unpacked)) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut decompressor = Decompressor::new()?;
    decompressor.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
    to.clear();
    to.reserve_exact(promised);
    let found = decompressor.decompress_to_buffer(packed, to)?;
    if found == promised {
        Ok(())
    } else {
        Err(io::ErrorKind::InvalidData.into())
    }
}
