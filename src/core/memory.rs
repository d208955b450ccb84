//! Memory that is given back. A file of a thousand instances is read by way of text, tokens and a tree, several megabytes that
//! nobody needs any more once the settings are made; the allocator would keep them.

/// Gives what the allocator holds and nobody uses back to the system. For start and reload: it looks at every page, and holds
/// the allocator's locks meanwhile.
#[cfg(target_env = "gnu")]
#[allow(unsafe_code)]
pub(super) fn give_back() {
    // SAFETY: it takes a number and is safe to call from any thread; whether it gave anything back is nobody's concern.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Other C libraries have no such call.
#[cfg(not(target_env = "gnu"))]
pub(super) fn give_back() {}
