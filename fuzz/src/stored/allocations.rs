//! How much memory a decoder asks for.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

static ASKED: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, which counts the bytes that are asked for.
pub struct Counting;

// SAFETY: every call goes to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.fetch_add(layout.size(), Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.fetch_add(size, Ordering::Relaxed);
        unsafe { System.realloc(place, layout, size) }
    }
}

/// Runs a decoder over so many bytes, and fails if it asks for much more than they can hold: two
/// bytes may become a value of 40 in a vector that grew by doubling.
pub(super) fn bounded<T>(bytes: usize, decode: impl FnOnce() -> T) -> T {
    let before = ASKED.load(Ordering::Relaxed);
    let decoded = decode();
    let asked = ASKED.load(Ordering::Relaxed) - before;
    let most = 256 * bytes + (64 << 10);
    assert!(asked <= most, "{bytes} bytes took {asked} to read");
    decoded
}
