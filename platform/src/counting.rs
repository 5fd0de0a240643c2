//! An allocator that counts, for the tests and benches that hold the hot path to no allocation.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting per thread. Use: `#[global_allocator] static A: Counting = Counting;`
#[derive(Debug)]
pub struct Counting;

impl Counting {
    /// How often the calling thread has allocated or grown an allocation.
    pub fn allocations() -> u64 {
        ALLOCATIONS.with(Cell::get)
    }
}

fn count() {
    // a thread that is ending may free and allocate after its locals are gone: that is not counted
    let _ = ALLOCATIONS.try_with(|n| n.set(n.get() + 1));
}

// SAFETY: every call is passed on to the system's allocator as it is; counting touches a plain thread-local integer without
// destructor, and so allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are handed on.
        unsafe { System.realloc(ptr, layout, new_size) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are handed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    #[test]
    fn each_allocation_of_this_thread_is_counted() {
        let before = Counting::allocations();
        let boxed = std::hint::black_box(Box::new(7));
        assert_eq!(Counting::allocations(), before + 1);
        std::thread::spawn(|| drop(std::hint::black_box(vec![0; 100]))).join().unwrap();
        let after = Counting::allocations();
        drop(boxed);
        assert_eq!(Counting::allocations(), after, "freeing is not counted");
    }
}
