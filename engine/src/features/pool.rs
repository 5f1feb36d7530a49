//! Many values of one size, addressed by number, in pages: growing moves nothing, so it never stops the path for a
//! copy of a gigabyte, and a number stays good for as long as its value lives.

use crate::error::Error;
use crate::image::{Reader, Writer, room, senseless};

/// Pages hold 16, 32, … 512 values, then 1,024 each: thousands of tenants with a few keys each stay small.
const FIRST: usize = 16;
const PAGE: usize = 1024;
const GROWING: usize = (PAGE / FIRST).ilog2() as usize;

/// Page of a number, and place in it.
#[inline]
fn locate(at: u32) -> (usize, usize) {
    let number = at as usize + FIRST;
    if number < PAGE {
        let page = (number / FIRST).ilog2() as usize;
        return (page, number - (FIRST << page));
    }
    (GROWING + number / PAGE - 1, number % PAGE)
}

/// How many values a page holds.
fn size_of_page(page: usize) -> usize {
    FIRST << page.min(GROWING)
}

/// A pool of `T`.
#[derive(Debug)]
pub(crate) struct Pool<T> {
    pages: Vec<Box<[T]>>,
    free: Vec<u32>,
    used: u32,
}

impl<T: Default> Pool<T> {
    pub fn new() -> Pool<T> {
        Pool { pages: Vec::new(), free: Vec::new(), used: 0 }
    }

    /// A place for a value, holding the default.
    pub fn take(&mut self) -> u32 {
        if let Some(at) = self.free.pop() {
            return at;
        }
        let at = self.used;
        self.used = at.checked_add(1).filter(|next| *next < u32::MAX).expect("bounded far below 2^32 values");
        let (page, _) = locate(at);
        if page == self.pages.len() {
            self.pages.push((0..size_of_page(page)).map(|_| T::default()).collect());
        }
        at
    }

    /// Gives a place back; what it held becomes the default, so that nothing of it lives on.
    pub fn give(&mut self, at: u32) {
        *self.get_mut(at) = T::default();
        self.free.push(at);
    }

    #[inline]
    pub fn get(&self, at: u32) -> &T {
        let (page, place) = locate(at);
        &self.pages[page][place]
    }
    #[inline]
    pub fn get_mut(&mut self, at: u32) -> &mut T {
        let (page, place) = locate(at);
        &mut self.pages[page][place]
    }
    /// One past the largest number ever handed out.
    pub fn end(&self) -> u32 {
        self.used
    }

    /// Writes every place, free ones too, by `each`, and in which order the free ones are used again.
    pub fn save(&self, to: &mut Writer<'_>, each: impl Fn(&T, &mut Writer<'_>)) {
        to.u32(self.used);
        to.count(self.free.len());
        to.u32s(&self.free);
        let values = self.pages.iter().flat_map(|page| page.iter());
        values.take(self.used as usize).for_each(|value| each(value, to));
    }
    /// What [`Pool::save`] wrote.
    pub fn load(
        from: &mut Reader<'_>,
        mut each: impl FnMut(&mut Reader<'_>) -> Result<T, Error>,
    ) -> Result<Pool<T>, Error> {
        let used = from.u32()?;
        let mut free = vec![0; from.count(used as usize)?];
        from.u32s(&mut free)?;
        if used == u32::MAX || free.iter().any(|at| *at >= used) {
            return Err(senseless("a free place that there is not"));
        }
        let (mut pages, mut left) = (Vec::new(), used as usize);
        while left > 0 {
            let size = size_of_page(pages.len());
            let mut page = room(size);
            for _ in 0..size.min(left) {
                page.push(each(from)?);
            }
            left -= page.len();
            page.resize_with(size, T::default);
            pages.push(page.into_boxed_slice());
        }
        Ok(Pool { pages, free, used })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_place_for_every_number() {
        let mut pool = Pool::<u32>::new();
        // Past page 64, where a shift by the page's number would begin again.
        for at in 0..100_000 {
            assert_eq!(pool.take(), at);
            *pool.get_mut(at) = at;
        }
        assert!((0..100_000).all(|at| *pool.get(at) == at));
    }

    #[test]
    fn places_are_used_again_and_begin_empty() {
        let mut pool = Pool::new();
        let places: Vec<u32> = (0..5000).map(|_| pool.take()).collect();
        for at in &places {
            *pool.get_mut(*at) = *at + 1;
        }
        assert!(places.iter().all(|at| *pool.get(*at) == at + 1));
        pool.give(1500);
        let again = pool.take();
        assert_eq!((again, *pool.get(again), pool.end()), (1500, 0, 5000));
    }
}
