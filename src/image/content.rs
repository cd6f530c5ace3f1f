//! The content of an image's parts: checked against digests, and compressed where it is not.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::read::MultiGzDecoder;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};

use super::ImageError;
use super::files::Piece;

/// How many parts are read at once.
const READ_AT_ONCE: usize = 4;
const BUFFER: usize = 256 << 10;

/// A part of an image as the registry is to have it.
#[derive(Clone, Debug)]
pub struct Blob {
    /// `sha256:…` of the content.
    pub digest: String,
    /// Bytes.
    pub size: u64,
    pub(super) content: Piece,
}

/// The digest of a text in memory.
pub(super) fn digest_of(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

/// Says whether this is a digest that names a file: `sha256:` and 64 hexadecimal digits.
pub(super) fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:").is_some_and(|hex| {
        hex.len() == 64
            && hex
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    })
}

/// The digest of everything that is read.
fn digest_of_all(mut content: impl Read) -> io::Result<String> {
    let mut hasher = Hasher(Sha256::new());
    io::copy(&mut content, &mut hasher)?;
    Ok(hasher.digest())
}

struct Hasher(Sha256);

impl Hasher {
    fn digest(self) -> String {
        format!("sha256:{}", hex::encode(self.0.finalize()))
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes through, and keeps the digest of what went through.
struct Hashing<W>(W, Hasher);

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes)?;
        self.1.0.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// What is to become of a layer on its way to the registry.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    pub(super) content: Piece,
    /// The digest that somebody promised, of the content as it is or of what it decompresses to.
    pub(super) promised: Promise,
    /// Whether it is compressed for the registry.
    pub(super) compress: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Promise {
    AsItIs(String),
    Decompressed(String),
}

/// Checks all parts, and compresses those that ask for it. `place` is what messages call the image.
pub(super) fn prepare(wanted: &[Wanted], place: &str) -> Result<Vec<Blob>, ImageError> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, Result<Blob, ImageError>)>> = Mutex::new(Vec::new());
    let workers = thread::available_parallelism()
        .map_or(1, NonZero::get)
        .min(READ_AT_ONCE);
    thread::scope(|scope| {
        for _ in 0..workers.min(wanted.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(one) = wanted.get(index) else { break };
                    let blob = one.prepare(place);
                    if blob.is_err() {
                        // Nobody needs the others any more.
                        next.store(wanted.len(), Ordering::Relaxed);
                    }
                    done.lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push((index, blob));
                }
            });
        }
    });
    let mut done = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    let blobs: Vec<Blob> = done
        .into_iter()
        .map(|(_, blob)| blob)
        .collect::<Result<_, _>>()?;
    Ok(blobs)
}

impl Wanted {
    fn prepare(&self, place: &str) -> Result<Blob, ImageError> {
        let unreadable = |error: io::Error| ImageError::unreadable(place, &error);
        if self.compress {
            let (digest, blob) = compressed(&self.content)?;
            self.check(&digest, place)?;
            return Ok(blob);
        }
        let digest = digest_of_all(self.content.reader()).map_err(unreadable)?;
        match &self.promised {
            Promise::AsItIs(_) => self.check(&digest, place)?,
            Promise::Decompressed(_) => {
                let content = BufReader::with_capacity(BUFFER, self.content.reader());
                let inner = digest_of_all(MultiGzDecoder::new(content)).map_err(|error| {
                    ImageError::damaged(place, format!("layer {digest}: {error}"))
                })?;
                self.check(&inner, place)?;
            }
        }
        Ok(Blob {
            digest,
            size: self.content.length(),
            content: self.content.clone(),
        })
    }

    fn check(&self, found: &str, place: &str) -> Result<(), ImageError> {
        let (Promise::AsItIs(promised) | Promise::Decompressed(promised)) = &self.promised;
        if found == promised {
            return Ok(());
        }
        Err(ImageError::damaged(
            place,
            format!("the content of {promised} has the digest {found}"),
        ))
    }
}

/// Compresses into a file without a name. The same content gives the same bytes every time, so that
/// the registry knows it again. Gives the digest of the content, too.
fn compressed(content: &Piece) -> Result<(String, Blob), ImageError> {
    let temporary = |error: io::Error| ImageError::unreadable("the temporary directory", &error);
    let file = tempfile::tempfile().map_err(temporary)?;
    let target = Hashing(
        BufWriter::with_capacity(BUFFER, file),
        Hasher(Sha256::new()),
    );
    // No time and no name in the header. 255 is "unknown system".
    let encoder = GzBuilder::new()
        .mtime(0)
        .operating_system(255)
        .write(target, Compression::default());
    let mut both = Hashing(encoder, Hasher(Sha256::new()));
    let mut reader = BufReader::with_capacity(BUFFER, content.reader());
    io::copy(&mut reader, &mut both).map_err(temporary)?;
    let Hashing(encoder, inner) = both;
    let Hashing(writer, outer) = encoder.finish().map_err(temporary)?;
    let file: File = writer
        .into_inner()
        .map_err(|error| temporary(error.into_error()))?;
    let content = Piece::whole(file).map_err(temporary)?;
    let blob = Blob {
        digest: outer.digest(),
        size: content.length(),
        content,
    };
    Ok((inner.digest(), blob))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(bytes: &[u8]) -> Piece {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        Piece::whole(file).unwrap()
    }

    #[test]
    fn the_same_content_is_compressed_to_the_same_bytes() {
        let content: Vec<u8> = (0..300_000_u32)
            .flat_map(|n| (n % 977).to_le_bytes())
            .collect();
        let wanted = |content: &[u8], digest: String| Wanted {
            content: piece(content),
            promised: Promise::Decompressed(digest),
            compress: true,
        };
        let blobs = prepare(
            &[
                wanted(&content, digest_of(&content)),
                wanted(&content, digest_of(&content)),
            ],
            "x",
        )
        .unwrap();
        assert_eq!(blobs[0].digest, blobs[1].digest);
        assert!(blobs[0].size < content.len() as u64);
        let mut back = Vec::new();
        MultiGzDecoder::new(blobs[0].content.reader())
            .read_to_end(&mut back)
            .unwrap();
        assert_eq!(back, content);
        assert_eq!(
            digest_of_all(blobs[0].content.reader()).unwrap(),
            blobs[0].digest
        );
        let damaged = prepare(&[wanted(&content[1..], digest_of(&content))], "x").unwrap_err();
        assert!(matches!(damaged, ImageError::Damaged { .. }), "{damaged}");
    }
}
