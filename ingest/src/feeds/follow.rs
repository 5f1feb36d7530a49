//! A growing file as a reader: at its end it waits for more. A line is whole when its end has come, so half a line that
//! a writer has flushed waits too. A file that was cut, or replaced by another under its name (log rotation), is
//! read on from the start of the new one.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How often a file's end is looked at again.
const POLL: Duration = Duration::from_millis(50);

/// A file that is followed. Its reads end (with 0) only once `stop` is set.
#[derive(Debug)]
pub struct Follow {
    path: PathBuf,
    file: File,
    /// Bytes read of this file.
    at: u64,
    ends_line: bool,
    stop: Arc<AtomicBool>,
}

impl Follow {
    /// Follows a file from its beginning until `stop` is set.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(path: &Path, stop: Arc<AtomicBool>) -> io::Result<Follow> {
        let file = File::open(path)?;
        Ok(Follow { path: path.to_owned(), file, at: 0, ends_line: true, stop })
    }

    /// At the end of the file: whether there is another beginning to read from.
    fn begins_anew(&mut self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        if ours.len() < self.at {
            self.file.seek(SeekFrom::Start(0))?;
            self.at = 0;
            return Ok(true);
        }
        // Between a rename and the new file there may be no file under the name; then this one may still grow.
        let Ok(other) = std::fs::metadata(&self.path) else { return Ok(false) };
        if (other.dev(), other.ino()) == (ours.dev(), ours.ino()) || ours.len() > self.at {
            return Ok(false);
        }
        let Ok(file) = File::open(&self.path) else { return Ok(false) };
        (self.file, self.at) = (file, 0);
        Ok(true)
    }
}

impl Read for Follow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let read = self.file.read(buffer)?;
            if read > 0 {
                self.at += read as u64;
                self.ends_line = buffer[read - 1] == b'\n';
                return Ok(read);
            }
            if self.begins_anew()? {
                // What the old file left open is a line of its own: nothing will complete it.
                if !std::mem::replace(&mut self.ends_line, true) {
                    buffer[0] = b'\n';
                    return Ok(1);
                }
                continue;
            }
            if self.stop.load(Ordering::Relaxed) {
                return Ok(0);
            }
            thread::sleep(POLL);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use std::io::{BufRead, BufReader, Write};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Instant;

    fn lines(path: &Path, stop: &Arc<AtomicBool>) -> Receiver<String> {
        let (send, receive) = channel();
        let reader = BufReader::new(Follow::open(path, stop.clone()).unwrap());
        thread::spawn(move || reader.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        receive
    }
    fn next(lines: &Receiver<String>) -> String {
        lines.recv_timeout(Duration::from_secs(20)).unwrap()
    }
    fn append(path: &Path, text: &str) {
        let mut file = OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_file_is_followed_through_growth_truncation_and_rotation() {
        let folder = tempfile::tempdir().unwrap();
        let (path, old) = (folder.path().join("a.jsonl"), folder.path().join("a.jsonl.1"));
        let stop = Arc::new(AtomicBool::new(false));
        fs::write(&path, "one\nhal").unwrap();
        let read = lines(&path, &stop);
        assert_eq!(next(&read), "one");
        assert!(read.recv_timeout(4 * POLL).is_err(), "half a line waits");
        append(&path, "f\n");
        assert_eq!(next(&read), "half");
        // Cut and written anew, shorter than before.
        fs::write(&path, "a\n").unwrap();
        assert_eq!(next(&read), "a");
        // Rotated: what is still written to the old file comes first, and what it leaves open is a line.
        fs::rename(&path, &old).unwrap();
        append(&old, "late\nopen");
        assert_eq!(next(&read), "late");
        append(&path, "new\n");
        assert_eq!((next(&read).as_str(), next(&read).as_str()), ("open", "new"));
        let began = Instant::now();
        stop.store(true, Ordering::Relaxed);
        assert!(read.recv_timeout(Duration::from_secs(20)).is_err());
        assert!(began.elapsed() < Duration::from_secs(10));
    }
}
