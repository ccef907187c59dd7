//! Loading libmlx_fork_c, and what it says about itself, MLX and the machine.

use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bindings::{self, MlxForkC};
use crate::{Error, Result};

/// A loaded libmlx_fork_c. Copies are the same library; it stays loaded until the process
/// ends, because MLX's threads and static objects don't survive being unloaded.
///
/// One process can use one libmlx: opening the library of a second prefix is an error.
/// Calls from several threads are made one after the other.
#[derive(Clone, Copy)]
pub struct Library {
    pub(crate) api: &'static MlxForkC,
    handle: &'static libloading::Library,
    path: &'static std::path::Path,
}

/// Kinds of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Device {
    /// The processor.
    Cpu = bindings::MLX_FORK_CPU,
    /// The GPU, where MLX was built with one.
    Gpu = bindings::MLX_FORK_GPU,
}

/// How the last evaluation of a fused primitive was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Path {
    /// It has not been evaluated in this process.
    None = bindings::MLX_FORK_PATH_NONE,
    /// By the kernel made for these shapes, types and this processor.
    Fast = bindings::MLX_FORK_PATH_FAST,
    /// By the kernel that takes everything.
    General = bindings::MLX_FORK_PATH_GENERAL,
    /// As a composition of MLX's own operations.
    Composition = bindings::MLX_FORK_PATH_COMPOSITION,
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Path::None => "none",
            Path::Fast => "fast",
            Path::General => "general",
            Path::Composition => "composition",
        })
    }
}

// MLX's graph and encoders are not safe to use from two threads at once in every version.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

pub(crate) fn one_at_a_time() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls a function of the C API that returns a code: `call!(lib, name(arguments))`.
macro_rules! call {
    ($lib:expr, $name:ident($($argument:expr),* $(,)?)) => {
        match $lib.api.$name.as_ref() {
            Ok(function) => {
                let _guard = $crate::library::one_at_a_time();
                // SAFETY: the types are those of the header, and the pointers are made of
                // references and live handles that outlast the call.
                let code = unsafe { function($($argument),*) };
                $lib.checked(stringify!($name), code)
            }
            Err(_) => Err($crate::Error::Unavailable { symbol: stringify!($name) }),
        }
    };
}
pub(crate) use call;

impl Library {
    /// Loads libmlx_fork_c and checks that the libmlx it gets is the one it was built for.
    /// Operations then run on the CPU; see [`Self::set_default_device`].
    ///
    /// # Errors
    /// [`Error::Load`], also when MLX is of another version or prefix.
    pub fn open(path: impl AsRef<std::path::Path>) -> Result<Self> {
        Self::load(path.as_ref(), None)
    }

    /// As [`Self::open`], and the library must be of the fork with this id.
    ///
    /// # Errors
    /// [`Error::WrongId`] when it is of another; nothing of MLX has run then.
    pub fn open_expecting(path: impl AsRef<std::path::Path>, id: &str) -> Result<Self> {
        Self::load(path.as_ref(), Some(id))
    }

    fn load(path: &std::path::Path, id: Option<&str>) -> Result<Self> {
        let failed = |reason: String| Error::Load {
            path: path.to_path_buf(),
            reason,
        };
        // A name without a folder would be searched for in the system's folders.
        let path = path.canonicalize().map_err(|e| failed(e.to_string()))?;
        // SAFETY: the initialisers of libmlx and libmlx_fork_c have no preconditions.
        let load = || unsafe { libloading::Library::new(&path) };
        let first = load().map_err(|e| failed(loader_text(&e)))?;
        let second = load().map_err(|e| failed(loader_text(&e)))?;
        Self::resolve(first, second, path.clone(), id)
    }

    /// The library that the feature `link` built and linked into this program.
    ///
    /// # Errors
    /// [`Error::Load`] when libmlx is of another version or prefix.
    #[cfg(feature = "link")]
    pub fn linked() -> Result<Self> {
        #[link(name = "mlx_fork_c")]
        unsafe extern "C" {
            fn mlx_fork_id() -> *const c_char;
        }
        // A use of one function: linkers drop libraries of which nothing is used.
        // SAFETY: it takes nothing and returns a constant.
        let _ = unsafe { mlx_fork_id() };
        let program = libloading::os::unix::Library::this;
        Self::resolve(
            program().into(),
            program().into(),
            "the program".into(),
            None,
        )
    }

    fn resolve(
        first: libloading::Library,
        second: libloading::Library,
        path: PathBuf,
        id: Option<&str>,
    ) -> Result<Self> {
        let failed = |reason: String| Error::Load {
            path: path.clone(),
            reason,
        };
        // SAFETY: the types of the functions are those of the header that made the library.
        let api = unsafe { MlxForkC::from_library(first) }.map_err(|e| failed(e.to_string()))?;
        if api.mlx_fork_id.is_err() || api.mlx_fork_last_error.is_err() {
            return Err(failed(
                "it is no libmlx_fork_c: it has no mlx_fork_id".into(),
            ));
        }
        let lib = Library {
            api: Box::leak(Box::new(api)),
            handle: Box::leak(Box::new(second)),
            path: Box::leak(path.clone().into_boxed_path()),
        };
        let found = lib.id();
        if let Some(expected) = id
            && found != expected
        {
            return Err(Error::WrongId {
                path,
                expected: expected.to_string(),
                found,
            });
        }
        call!(lib, mlx_fork_check()).map_err(|e| match e {
            Error::Call { message, .. } => failed(message),
            other => other,
        })?;
        lib.set_default_device(Device::Cpu)?;
        Ok(lib)
    }

    /// The id of the fork; for stock MLX the commit's.
    pub fn id(&self) -> String {
        self.text(&self.api.mlx_fork_id)
    }

    /// The version of the libmlx that is loaded, such as `0.31.2`.
    pub fn mlx_version(&self) -> String {
        self.text(&self.api.mlx_fork_mlx_version)
    }

    /// The vector extensions of this processor that a kernel may choose by.
    pub fn cpu_features(&self) -> Vec<String> {
        let text = self.text(&self.api.mlx_fork_cpu_features);
        text.split_whitespace().map(String::from).collect()
    }

    /// The vector instructions with which the primitives' CPU kernels compute, such as `avx2`,
    /// or `portable`. None where the build has no such kernels (as stock's), and where
    /// `MLX_FUSED_CPU_SIMD` names instructions that this processor lacks.
    pub fn cpu_simd(&self) -> Option<String> {
        let name = self.text(&self.api.mlx_fork_cpu_simd);
        (!name.is_empty()).then_some(name)
    }

    /// The threads with which they compute. None where the build has no such kernels, and
    /// where `MLX_FUSED_CPU_THREADS` is no number of threads.
    pub fn cpu_threads(&self) -> Option<i32> {
        let function = self.api.mlx_fork_cpu_threads.as_ref().ok()?;
        // SAFETY: it takes nothing.
        let count = unsafe { function() };
        (count > 0).then_some(count)
    }

    /// The file name of the library on this system.
    pub fn file_name() -> OsString {
        libloading::library_filename("mlx_fork_c")
    }

    /// True if the library has this function.
    pub fn has(&self, symbol: &str) -> bool {
        // SAFETY: the address is only compared, never called.
        unsafe { self.handle.get::<*const ()>(symbol.as_bytes()) }.is_ok()
    }

    /// Where the library was found.
    pub fn path(&self) -> &std::path::Path {
        self.path
    }

    /// The number of devices of a kind.
    pub fn device_count(&self, device: Device) -> Result<usize> {
        let mut count: c_int = 0;
        call!(self, mlx_fork_device_count(&mut count, device as u32))?;
        Ok(usize::try_from(count).unwrap_or(0))
    }

    /// What MLX tells of a device, sorted by key.
    pub fn device_info(&self, device: Device) -> Result<Vec<(String, String)>> {
        let mut text: *const c_char = std::ptr::null();
        call!(self, mlx_fork_device_info(&mut text, device as u32))?;
        Ok(owned(text)
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.to_string(), value.to_string()))
            .collect())
    }

    /// The device on which operations run.
    pub fn default_device(&self) -> Result<Device> {
        let mut device = 0;
        call!(self, mlx_fork_default_device(&mut device))?;
        Ok(match device {
            bindings::MLX_FORK_GPU => Device::Gpu,
            _ => Device::Cpu,
        })
    }

    /// Makes operations run on this device from now on.
    ///
    /// # Errors
    /// [`Error::Call`] where there is no such device.
    pub fn set_default_device(&self, device: Device) -> Result<()> {
        call!(self, mlx_fork_set_default_device(device as u32))
    }

    /// The path that the last evaluation of a primitive took; `op` is its name in Python.
    ///
    /// # Errors
    /// [`Error::Unavailable`] on stock MLX.
    pub fn last_path(&self, op: &str) -> Result<Path> {
        let op = c_text(op)?;
        let mut path = 0;
        call!(self, mlx_fork_last_path(&mut path, op.as_ptr()))?;
        Ok(match path {
            bindings::MLX_FORK_PATH_FAST => Path::Fast,
            bindings::MLX_FORK_PATH_GENERAL => Path::General,
            bindings::MLX_FORK_PATH_COMPOSITION => Path::Composition,
            _ => Path::None,
        })
    }

    pub(crate) fn checked(&self, function: &'static str, code: c_int) -> Result<()> {
        if code == 0 {
            return Ok(());
        }
        Err(Error::Call {
            function,
            message: self.text(&self.api.mlx_fork_last_error),
        })
    }

    fn text<E>(&self, function: &Result<unsafe extern "C" fn() -> *const c_char, E>) -> String {
        match function {
            // SAFETY: functions of this type take nothing and return a text that stays
            // valid until this thread's next call.
            Ok(function) => owned(unsafe { function() }),
            Err(_) => String::new(),
        }
    }
}

impl fmt::Debug for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Library({})", self.path.display())
    }
}

/// The loader's own words: libloading's error says only that there is one.
fn loader_text(error: &libloading::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    }
}

fn owned(text: *const c_char) -> String {
    if text.is_null() {
        return String::new();
    }
    // SAFETY: the C API returns texts that end with a zero byte.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

pub(crate) fn c_text(text: &str) -> Result<CString> {
    CString::new(text).map_err(|_| Error::ZeroByte {
        text: text.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_is_not_there_is_named_in_the_error() {
        let error = Library::open("/no/such/libmlx_fork_c.so").unwrap_err();
        assert!(matches!(error, Error::Load { .. }));
        assert!(
            error.to_string().contains("/no/such/libmlx_fork_c.so"),
            "{error}"
        );
    }

    #[test]
    fn a_file_that_is_no_library_is_refused_with_the_loaders_words() {
        let path = std::env::temp_dir().join(format!("no-library-{}.so", std::process::id()));
        std::fs::write(&path, "text").unwrap();
        let error = Library::open(&path).unwrap_err();
        std::fs::remove_file(&path).unwrap();
        let Error::Load { reason, .. } = &error else {
            panic!("{error:?}");
        };
        assert!(
            !reason.is_empty() && reason.contains("no-library"),
            "{reason}"
        );
    }

    #[test]
    fn a_text_with_a_zero_byte_is_refused_before_the_call() {
        assert!(matches!(c_text("a\0b"), Err(Error::ZeroByte { .. })));
    }
}
