//! Writes an image beside its name, syncs it and gives it the name: there is a whole file under it, or none.

use super::chunks::Out;
use super::cold::PageOut;
use super::{About, FORMAT, MAGIC, PART, path};
use crate::error::Error;
use crate::journal::Resume;
use interdict_engine::identity::Drawer;
use interdict_engine::image::Writer;
use interdict_engine::sequencer::Sequencer;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What was written.
#[derive(Debug, Clone)]
pub struct Written {
    /// Where it lies.
    pub path: PathBuf,
    /// How long it is.
    pub bytes: u64,
}

/// Writes the image of a sequencer's state into a folder, which is made where it is not there. `rest` is called about
/// once a mebibyte. A failure leaves what was there before.
///
/// # Errors
/// `Full` and `Io`.
pub fn write(
    dir: &Path,
    about: &About,
    index: &Resume,
    sequencer: &Sequencer,
    rest: &mut dyn FnMut(),
) -> Result<Written, Error> {
    use std::os::unix::fs::DirBuilderExt;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|e| Error::io(format_args!("image: making {}", dir.display()), &e))?;
    let path = path(dir, about.sequence());
    let mut part = path.clone().into_os_string();
    part.push(PART);
    let part = PathBuf::from(part);
    let written = write_part(&part, about, index, sequencer, rest).and_then(|bytes| {
        let named = std::fs::rename(&part, &path).and_then(|()| File::open(dir)?.sync_all());
        named.map_err(|e| Error::io("image: naming it", &e))?;
        Ok(Written { path, bytes })
    });
    if written.is_err() {
        // Best effort: what is left is removed with the next image.
        let _ = std::fs::remove_file(&part);
    }
    written
}

fn write_part(
    path: &Path,
    about: &About,
    index: &Resume,
    sequencer: &Sequencer,
    rest: &mut dyn FnMut(),
) -> Result<u64, Error> {
    let failed = |e: &io::Error| Error::io("image: writing it", e);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut out = Out::new(file.map_err(|e| failed(&e))?, rest);
    let mut header = Vec::from(MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    out.raw(&header);
    let mut offsets = vec![out.at];
    part(&mut out, |to| about.save(to));
    offsets.push(out.at);
    part(&mut out, |to| index.save(to));
    offsets.push(out.at);
    part(&mut out, |to| sequencer.save(to));
    offsets.push(out.at);
    let directory = cold(&mut out, sequencer)?;
    offsets.push(out.at);
    part(&mut out, |to| {
        to.count(directory.len());
        for (drawer, firsts) in &directory {
            to.u64(drawer.0);
            to.count(firsts.len());
            firsts.iter().for_each(|first| to.u128(*first));
        }
    });
    let mut trailer = Vec::from(MAGIC);
    offsets.iter().for_each(|offset| trailer.extend_from_slice(&offset.to_le_bytes()));
    trailer.extend_from_slice(&super::chunks::checksum(out.at, &trailer).to_le_bytes());
    out.raw(&trailer);
    out.sync().map_err(|e| failed(&e))
}

fn part(out: &mut Out<'_>, save: impl FnOnce(&mut Writer<'_>)) {
    let mut to = Writer::new(out);
    save(&mut to);
    to.end();
    out.end_part();
}

/// Writes the pages of identity's cold keys; gives the first keys of each drawer's.
fn cold(out: &mut Out<'_>, sequencer: &Sequencer) -> Result<Vec<(Drawer, Vec<u128>)>, Error> {
    let identity = sequencer.identity();
    let mut directory = Vec::new();
    for drawer in identity.drawers() {
        let (mut firsts, mut page) = (Vec::new(), PageOut::default());
        let mut flush = |page: &mut PageOut, out: &mut Out<'_>| {
            let (bytes, first) = page.take(out.at);
            out.raw(&bytes);
            firsts.push(first);
            if firsts.len().is_multiple_of(256) {
                out.rest();
            }
        };
        let read = identity.each_cold(drawer, &mut |entry| {
            page.push(*entry);
            if page.is_full() && !out.has_failed() {
                flush(&mut page, out);
            } else if page.is_full() {
                page = PageOut::default();
            }
        });
        read.map_err(|e| Error::new(crate::error::ErrorKind::Io, format!("image: {e}")))?;
        if !page.is_empty() {
            flush(&mut page, out);
        }
        directory.push((drawer, firsts));
    }
    Ok(directory)
}
