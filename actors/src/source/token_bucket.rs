//! Token buckets: how often something may happen in the long run, and how often at once. A new
//! bucket is full, also after a restart.

/// How often something may happen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    /// How often per `period`, in the long run.
    pub(super) count: u32,
    /// In µs.
    pub(super) period: i64,
    /// How often at once.
    pub(super) at_once: u32,
}

impl Rate {
    fn full(self) -> i64 {
        i64::from(self.at_once).saturating_mul(self.period)
    }
}

/// The tokens that are left of a [`Rate`]. Times are in µs since the Unix epoch.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    /// A token is one period: then `count` is added per µs.
    tokens: i64,
    /// When tokens were last added; `None` if none were taken yet.
    raised: Option<i64>,
}

impl TokenBucket {
    pub(super) fn full(rate: Rate) -> Self {
        Self { tokens: rate.full(), raised: None }
    }

    /// Adds the tokens of the time until `now`, and returns whether there is one.
    pub(super) fn raise(&mut self, rate: Rate, now: i64) -> bool {
        let since = self.raised.map_or(0, |raised| now.saturating_sub(raised).max(0));
        let more = since.saturating_mul(i64::from(rate.count));
        self.tokens = self.tokens.saturating_add(more).min(rate.full());
        self.raised = Some(now);
        self.tokens >= rate.period
    }

    /// Takes a token. [`TokenBucket::raise`] has said that there is one.
    pub(super) const fn take(&mut self, rate: Rate) {
        self.tokens -= rate.period;
    }
}
