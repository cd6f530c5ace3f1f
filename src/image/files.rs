//! The files inside a directory or a tar archive, read by path and in any order. Nothing is unpacked
//! but a compressed archive as a whole, into a file without a name.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;

use super::ImageError;

/// The most a document may have (an index, a manifest, a configuration); real ones have kilobytes.
const LARGEST_DOCUMENT: u64 = 16 << 20;
/// How many links are followed; real archives have one in a row.
const MOST_LINKS: usize = 8;
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A directory or a tar archive.
pub(super) struct Files {
    /// What it is called in messages.
    pub(super) place: String,
    from: From,
}

enum From {
    Directory(PathBuf),
    Archive {
        file: Arc<File>,
        entries: HashMap<String, Entry>,
    },
}

enum Entry {
    File {
        offset: u64,
        length: u64,
    },
    /// The path of another entry.
    Link(String),
}

/// A stretch of a file.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    file: Arc<File>,
    offset: u64,
    length: u64,
}

impl Piece {
    /// All of a file.
    pub(super) fn whole(file: File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self {
            file: Arc::new(file),
            offset: 0,
            length,
        })
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Reads it from the beginning. Readers do not disturb each other.
    pub(super) fn reader(&self) -> PieceReader {
        PieceReader {
            file: Arc::clone(&self.file),
            offset: self.offset,
            left: self.length,
        }
    }

    fn starts_with(&self, magic: &[u8]) -> io::Result<bool> {
        let mut start = Vec::new();
        self.reader()
            .take(magic.len() as u64)
            .read_to_end(&mut start)?;
        Ok(start == magic)
    }

    pub(super) fn is_gzip(&self) -> io::Result<bool> {
        self.starts_with(&GZIP)
    }

    pub(super) fn is_zstd(&self) -> io::Result<bool> {
        self.starts_with(&[0x28, 0xb5, 0x2f, 0xfd])
    }
}

/// Reads a [`Piece`].
pub(super) struct PieceReader {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer
            .len()
            .min(usize::try_from(self.left).unwrap_or(usize::MAX));
        if most == 0 {
            return Ok(0);
        }
        let read = self.file.read_at(&mut buffer[..most], self.offset)?;
        if read == 0 {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "it ends too early",
            ));
        }
        self.offset += read as u64;
        self.left -= read as u64;
        Ok(read)
    }
}

impl Files {
    /// Opens a directory or an archive.
    pub(super) fn open(path: &Path) -> Result<Self, ImageError> {
        let place = path.display().to_string();
        if path.is_dir() {
            return Ok(Self {
                place,
                from: From::Directory(path.to_owned()),
            });
        }
        let file = File::open(path).map_err(|error| ImageError::unreadable(&place, &error))?;
        Self::of_archive(file, place)
    }

    /// Reads the table of an archive.
    pub(super) fn of_archive(file: File, place: String) -> Result<Self, ImageError> {
        let unreadable = |error: io::Error| ImageError::unreadable(&place, &error);
        let whole = Piece::whole(file).map_err(unreadable)?;
        if whole.is_zstd().map_err(unreadable)? {
            let reason = "it is compressed with zstd; `zstd -d` decompresses it".to_owned();
            return Err(ImageError::Unreadable { place, reason });
        }
        let is_compressed = whole.is_gzip().map_err(unreadable)?;
        let whole = if is_compressed {
            decompressed(&whole, &place)?
        } else {
            whole
        };
        let entries =
            entries(&whole).map_err(|error| match is_compressed || looks_like_tar(&whole) {
                true => ImageError::damaged(&place, error.to_string()),
                false => ImageError::NoImage(place.clone()),
            })?;
        if let Some(name) = cut_off(&entries, whole.length) {
            return Err(ImageError::damaged(
                &place,
                format!("it ends in the middle of {name}"),
            ));
        }
        Ok(Self {
            place,
            from: From::Archive {
                file: whole.file,
                entries,
            },
        })
    }

    /// Finds a file by its path with `/` between its parts.
    pub(super) fn find(&self, path: &str) -> Result<Option<Piece>, ImageError> {
        let Some(mut path) = normal(path) else {
            return Ok(None);
        };
        match &self.from {
            From::Directory(root) => {
                let file = match File::open(root.join(&path)) {
                    Ok(file) => file,
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(self.unreadable(&error)),
                };
                Piece::whole(file)
                    .map(Some)
                    .map_err(|error| self.unreadable(&error))
            }
            From::Archive { file, entries } => {
                for _ in 0..MOST_LINKS {
                    match entries.get(&path) {
                        None => return Ok(None),
                        Some(Entry::Link(to)) => path.clone_from(to),
                        Some(Entry::File { offset, length }) => {
                            return Ok(Some(Piece {
                                file: Arc::clone(file),
                                offset: *offset,
                                length: *length,
                            }));
                        }
                    }
                }
                Err(ImageError::damaged(
                    &self.place,
                    format!("{path} is a link to itself"),
                ))
            }
        }
    }

    /// Reads a small file.
    pub(super) fn document(&self, path: &str) -> Result<Option<Vec<u8>>, ImageError> {
        let Some(piece) = self.find(path)? else {
            return Ok(None);
        };
        if piece.length > LARGEST_DOCUMENT {
            return Err(ImageError::damaged(
                &self.place,
                format!("{path} has {} bytes", piece.length),
            ));
        }
        let mut bytes = Vec::new();
        piece
            .reader()
            .read_to_end(&mut bytes)
            .map_err(|error| self.unreadable(&error))?;
        Ok(Some(bytes))
    }

    fn unreadable(&self, error: &io::Error) -> ImageError {
        ImageError::unreadable(&self.place, error)
    }
}

fn decompressed(whole: &Piece, place: &str) -> Result<Piece, ImageError> {
    let mut file = tempfile::tempfile()
        .map_err(|error| ImageError::unreadable("the temporary directory", &error))?;
    let mut content = MultiGzDecoder::new(BufReader::new(whole.reader()));
    io::copy(&mut content, &mut file).map_err(|error| match error.raw_os_error() {
        // The system's own errors are about the file it is written to.
        Some(_) => ImageError::unreadable("the temporary directory", &error),
        None => ImageError::damaged(place, format!("it cannot be decompressed: {error}")),
    })?;
    Piece::whole(file).map_err(|error| ImageError::unreadable(place, &error))
}

fn looks_like_tar(whole: &Piece) -> bool {
    let mut start = Vec::new();
    let read = whole.reader().take(262).read_to_end(&mut start);
    read.is_ok() && start.get(257..262) == Some(b"ustar")
}

fn entries(whole: &Piece) -> io::Result<HashMap<String, Entry>> {
    let mut file = whole.file.as_ref();
    file.seek(SeekFrom::Start(0))?;
    let mut archive = tar::Archive::new(file);
    let mut found = HashMap::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        let bytes = entry.path_bytes();
        let Some(path) = normal(&String::from_utf8_lossy(&bytes)) else {
            continue;
        };
        let kind = entry.header().entry_type();
        if kind.is_file() {
            let (offset, length) = (entry.raw_file_position(), entry.size());
            found.insert(path, Entry::File { offset, length });
        } else if let Some(to) = entry.link_name_bytes() {
            let to = String::from_utf8_lossy(&to);
            // A symbolic link is relative to where it stands, a hard link to the archive.
            let to = match (kind.is_symlink(), path.rsplit_once('/')) {
                (true, Some((folder, _))) if !to.starts_with('/') => {
                    normal(&format!("{folder}/{to}"))
                }
                _ => normal(&to),
            };
            if let Some(to) = to {
                found.insert(path, Entry::Link(to));
            }
        }
    }
    Ok(found)
}

/// Names an entry that would go beyond the end.
fn cut_off(entries: &HashMap<String, Entry>, end: u64) -> Option<&str> {
    let mut entries = entries.iter();
    let cut = entries.find(|(_, entry)| match entry {
        Entry::File { offset, length } => offset.checked_add(*length).is_none_or(|last| last > end),
        Entry::Link(_) => false,
    });
    cut.map(|(name, _)| name.as_str())
}

/// A path without `.` and `..`; `None` if it leads outside, or nowhere.
fn normal(path: &str) -> Option<String> {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(entries: &[(&str, &[u8])], links: &[(&str, &str)]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            builder.append_data(&mut header, path, *content).unwrap();
        }
        for (path, to) in links {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(tar::EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, path, to).unwrap();
        }
        builder.into_inner().unwrap()
    }

    fn file(bytes: &[u8]) -> File {
        use std::io::Write;
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn opened(bytes: &[u8]) -> Result<Files, ImageError> {
        Files::of_archive(file(bytes), "a.tar".to_owned())
    }

    #[test]
    fn files_are_found_in_archives_plain_and_compressed_and_through_links() {
        let long = format!("{}/layer.tar", "d".repeat(150));
        let plain = archive(
            &[("./a/layer.tar", b"one"), (&long, b"two")],
            &[("b/layer.tar", "../a/layer.tar"), ("c", "c")],
        );
        let mut zipped = flate2::read::GzEncoder::new(&plain[..], flate2::Compression::fast());
        let mut gzip = Vec::new();
        zipped.read_to_end(&mut gzip).unwrap();
        for bytes in [&plain, &gzip] {
            let files = opened(bytes).unwrap();
            for (path, expected) in [
                ("a/layer.tar", "one"),
                (&long, "two"),
                ("b/layer.tar", "one"),
            ] {
                let found = files.document(path).unwrap().unwrap();
                assert_eq!(found, expected.as_bytes(), "{path}");
            }
            assert!(files.find("x").unwrap().is_none());
            assert!(matches!(files.find("c"), Err(ImageError::Damaged { .. })));
        }
    }

    #[test]
    fn what_is_cut_off_is_damaged_and_what_is_no_archive_is_told_apart() {
        let plain = archive(&[("a", &[1; 4000]), ("b", &[2; 4000])], &[]);
        let cut = opened(&plain[..6000]).err().unwrap();
        assert!(
            cut.to_string().contains("it ends in the middle of b"),
            "{cut}"
        );
        let mut zipped = flate2::read::GzEncoder::new(&plain[..], flate2::Compression::fast());
        let mut gzip = Vec::new();
        zipped.read_to_end(&mut gzip).unwrap();
        let cut = opened(&gzip[..gzip.len() - 5]).err().unwrap();
        assert!(matches!(cut, ImageError::Damaged { .. }), "{cut}");
        let text = opened(&[b'x'; 2000]).err().unwrap();
        assert_eq!(text, ImageError::NoImage("a.tar".to_owned()));
    }

    #[test]
    fn no_path_leads_outside() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("secret"), "x").unwrap();
        let inside = directory.path().join("layout");
        std::fs::create_dir(&inside).unwrap();
        let files = Files::open(&inside).unwrap();
        assert!(files.find("../secret").unwrap().is_none());
        assert!(files.find("a/../../secret").unwrap().is_none());
    }
}
