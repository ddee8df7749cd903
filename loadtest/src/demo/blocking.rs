//! Runs work that blocks outside the threads of the async runtime.

/// Runs `work` on a thread for blocking work and returns its result.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> anyhow::Result<T> {
    tokio::task::spawn_blocking(work).await?
}
