//! What reading a file takes: memory, by an allocator that counts what the threads that read it
//! allocate and no others, and time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use mlx_fork::probe::artifact::{self, Artifact};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// More than a file's own bytes may take while it is read.
pub const MEMORY: usize = 256 << 20;
/// An unoptimised build on a machine that does other work too.
const TIME: Duration = Duration::from_secs(20);

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread reads files: other tests run beside it, and allocate what they like.
    static READS: Cell<bool> = const { Cell::new(false) };
}

fn reads() -> bool {
    READS.try_with(Cell::get).unwrap_or(false)
}

fn more(bytes: usize) {
    if reads() {
        let live = LIVE.fetch_add(bytes, Ordering::Relaxed) + bytes;
        PEAK.fetch_max(live, Ordering::Relaxed);
    }
}

fn less(bytes: usize) {
    if reads() {
        LIVE.fetch_sub(bytes, Ordering::Relaxed);
    }
}

// SAFETY: all of it is the system's allocator, which is given what came in.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        more(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        less(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may be there at once, as far as is known here.
        more(size);
        less(layout.size());
        // SAFETY: as the caller promises.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The threads that read files; what is done in parallel is done by them too.
fn readers() -> &'static ThreadPool {
    static READERS: OnceLock<ThreadPool> = OnceLock::new();
    READERS.get_or_init(|| {
        let pool = ThreadPoolBuilder::new().start_handler(|_| READS.set(true));
        pool.build().unwrap()
    })
}

/// What came of a file, and what it took.
pub struct Cost {
    pub result: Result<Vec<Artifact>, String>,
    /// Bytes at most at one time, without the file's own.
    pub memory: usize,
}

/// Reads the bytes as `cargo xtask probe --artifact` does. A panic, or more memory or time than a
/// file may take, fails the test; what did it is kept in a file.
pub fn read(what: &str, bytes: &[u8]) -> Cost {
    // One at a time: what all readers allocate is counted together.
    static ALONE: Mutex<()> = Mutex::new(());
    let readers = readers();
    let alone = ALONE.lock().unwrap_or_else(|e| e.into_inner());
    let before = LIVE.load(Ordering::Relaxed);
    PEAK.store(before, Ordering::Relaxed);
    let begin = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(|| {
        readers.install(|| artifact::parse("file", bytes))
    }));
    let time = begin.elapsed();
    let memory = PEAK.load(Ordering::Relaxed).saturating_sub(before);
    drop(alone);
    match result {
        Ok(result) if memory <= MEMORY && time <= TIME => Cost { result, memory },
        wrong => {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile-file");
            std::fs::write(&kept, bytes).unwrap();
            let how = match wrong {
                Ok(_) => "took too much",
                Err(_) => "is a panic",
            };
            let length = bytes.len();
            panic!(
                "{what}, {length} bytes, {how}: {memory} bytes of memory, {time:?}; \
                 it is in {}",
                kept.display()
            );
        }
    }
}
