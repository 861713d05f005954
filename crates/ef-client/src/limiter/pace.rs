//! How many calls there may be at a time: slow start, additive growth and multiplicative reduction, as TCP's congestion
//! control has them (RFC 5681), with calls for segments and refusals for losses.

/// How many calls there may be at a time.
pub(super) struct Pace {
    limit: f64,
    /// Below this the limit doubles in a round trip, above it it grows by `step`.
    threshold: f64,
    step: f64,
    /// Calls with a smaller number were on their way when the limit was reduced last: their refusal is part of the same news.
    reduced_at: u64,
    /// The last call with which the limit was reached.
    filled_at: u64,
    /// Whether a call was answered since the limit was reduced last.
    is_proven: bool,
}

impl Pace {
    /// What an endpoint gets before anything is known of it, and after it asked for a pause.
    pub(super) const START: f64 = 16.0;

    /// The limit grows in a round trip by this share of what it was reduced to, so that it takes the same number of round
    /// trips to come back, however large it was.
    const STEP: f64 = 1.0 / 16.0;

    pub(super) const fn new() -> Self {
        Self { limit: Self::START, threshold: f64::INFINITY, step: 1.0, reduced_at: 0, filled_at: 0, is_proven: false }
    }

    /// How many there may be: at least one, never more than the ceiling.
    pub(super) fn limit(&self, ceiling: u32) -> u32 {
        // A float that is too large saturates.
        (self.limit as u32).clamp(1, ceiling.max(1))
    }

    /// The call of this number makes it so many that are on their way.
    pub(super) fn start(&mut self, call: u64, in_flight: u32, ceiling: u32) {
        if in_flight >= self.limit(ceiling) {
            self.filled_at = call;
        }
    }

    /// The call of this number was answered.
    pub(super) fn succeed(&mut self, call: u64, ceiling: u32) {
        // A call from before the last reduction says nothing of the limit since.
        if call < self.reduced_at {
            return;
        }
        self.is_proven = true;
        // What nobody made use of while it was on its way has not proved itself.
        if call > self.filled_at {
            return;
        }
        let limit = f64::from(self.limit(ceiling));
        // Each answer adds its share, so that a whole round trip doubles the limit, or adds a step.
        self.limit += if self.limit < self.threshold { 1.0 } else { self.step / limit };
        self.limit = self.limit.min(f64::from(ceiling.max(1)));
    }

    /// The call of this number was refused; the next will have that one.
    pub(super) fn reject(&mut self, call: u64, next: u64, ceiling: u32, asks_for_pause: bool) {
        if call < self.reduced_at {
            return;
        }
        self.reduced_at = next;
        let halved = (f64::from(self.limit(ceiling)) / 2.0).max(1.0);
        // While nothing is answered at all, a further refusal tells that the server is away, not that it can take less.
        if std::mem::take(&mut self.is_proven) || self.threshold.is_infinite() {
            self.threshold = halved;
            self.step = (halved * Self::STEP).max(1.0);
        }
        // After a pause nobody knows how far the server has recovered: a few calls ask it.
        self.limit = if asks_for_pause { halved.min(Self::START) } else { halved };
    }
}
