//! What the kernel knows of this process.

/// The effective user id: 0 is root.
pub fn effective_uid() -> u32 {
    // SAFETY: geteuid touches no memory and cannot fail.
    unsafe { libc::geteuid() }
}

/// Gives memory that is free, but still the allocator's, back to the kernel; for after a start that needed much. No effect with
/// an allocator that has no such call.
pub fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim takes a number, touches free memory only, and may be called from any thread.
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn new_files_belong_to_the_effective_user() {
        let path = std::env::temp_dir().join(format!("imsbox-euid-{}", std::process::id()));
        std::fs::write(&path, b"").unwrap();
        let owner = std::fs::metadata(&path).unwrap().uid();
        std::fs::remove_file(path).unwrap();
        assert_eq!(owner, effective_uid());
    }
}
