//! When a sleep may last a little longer, so that one wake-up serves several requests.
//!
//! What network adapters do with their interrupts, for a shard: under bulk load a wake-up costs more than what it was for.
//! A sleep then ends when [`RECEIVES_WANTED`] connections have something, or with the first that has once [`PATIENCE`] is
//! over (IORING_FEAT_MIN_TIMEOUT, Linux 6.12). It helps where clients send on without waiting for each answer. Where
//! they wait, it would only slow them down: so the load is compared with what it is without, from time to time, and a load
//! that suffers is left alone for a while.

use std::time::{Duration, Instant};

/// How long the first receive of a sleep may wait for others.
pub(super) const PATIENCE: Duration = Duration::from_micros(300);
/// Receives that end a sleep at once.
pub(super) const RECEIVES_WANTED: usize = 8;
/// The load is judged by stretches of this length.
const WINDOW: Duration = Duration::from_millis(50);
/// A longer one was mostly idle.
const WINDOW_MAX: Duration = Duration::from_millis(200);
/// A load is bulk from so many sleeps in a window on, and so many bytes received in each.
const SLEEPS_MIN: u32 = 50;
const BYTES_PER_SLEEP_MIN: u64 = 8 << 10;
/// Waiting goes on while one of so many requests has come together with the one before it,
const FOLLOWERS_SHARE: u32 = 3;
/// and while the load is not below this part of what it is without.
const LOAD_KEPT: f64 = 0.75;
/// Windows that wait before they are compared with one that did not: at first, and later.
const TRIAL_WINDOWS: u32 = 3;
const WINDOWS_PER_PROBE: u32 = 15;
/// Loads vary by themselves, so that a single comparison may mislead.
const LOSSES_MAX: u32 = 2;
/// How long a load is left alone after a try in vain, at first and at most.
const BACK_OFF_MIN: Duration = Duration::from_millis(200);
const BACK_OFF_MAX: Duration = Duration::from_secs(20);

/// The judgement of one shard.
#[derive(Debug)]
pub(super) struct Moderation {
    /// Whether the kernel can wait for more than one completion.
    is_offered: bool,
    window: Window,
    waiting: Option<Waiting>,
    back_off: Duration,
    not_before: Instant,
}

/// What is known while sleeps wait.
#[derive(Debug, Default)]
struct Waiting {
    /// Bytes a second without, until the first comparison.
    before: Option<f64>,
    /// Bytes and time of the windows that waited since the last comparison, and their number.
    bytes: u64,
    time: Duration,
    windows: u32,
    /// This window does not wait.
    is_probing: bool,
    /// Comparisons in a row by which waiting lost.
    losses: u32,
}

/// What follows from a window.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    GoOn,
    /// It was compared, and does no harm.
    Pays,
    Harms,
    /// There is no load to speak of.
    Over,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    sleeps: u32,
    bytes: u64,
    requests: u32,
    followers: u32,
}

impl Window {
    fn new(began: Instant) -> Self {
        Self { began, sleeps: 0, bytes: 0, requests: 0, followers: 0 }
    }

    fn is_bulk(&self) -> bool {
        self.sleeps >= SLEEPS_MIN && self.bytes >= BYTES_PER_SLEEP_MIN * u64::from(self.sleeps)
    }

    fn is_over(&self) -> bool {
        self.bytes < BYTES_PER_SLEEP_MIN * u64::from(SLEEPS_MIN)
    }

    fn gathers(&self) -> bool {
        self.followers > 0 && self.followers >= self.requests / FOLLOWERS_SHARE
    }
}

impl Waiting {
    fn after(&mut self, window: &Window, took: Duration) -> Verdict {
        if window.is_over() {
            return Verdict::Over;
        }
        if self.is_probing {
            self.is_probing = false;
            return self.compare(window.bytes as f64 / took.as_secs_f64());
        }
        if !window.gathers() {
            return Verdict::Harms;
        }
        self.bytes += window.bytes;
        self.time += took;
        self.windows += 1;
        match self.before {
            Some(before) if self.windows == TRIAL_WINDOWS => {
                self.before = None;
                self.losses = LOSSES_MAX - 1;
                return self.compare(before);
            }
            None if self.windows == WINDOWS_PER_PROBE => self.is_probing = true,
            _ => {}
        }
        Verdict::GoOn
    }

    /// Compares the windows that waited with a load without.
    fn compare(&mut self, without: f64) -> Verdict {
        let with = self.bytes as f64 / self.time.as_secs_f64();
        (self.bytes, self.time, self.windows) = (0, Duration::ZERO, 0);
        self.losses = if with < LOAD_KEPT * without { self.losses + 1 } else { 0 };
        match self.losses {
            0 => Verdict::Pays,
            LOSSES_MAX.. => Verdict::Harms,
            _ => Verdict::GoOn,
        }
    }
}

impl Moderation {
    pub fn new(now: Instant, is_offered: bool) -> Self {
        Self { is_offered, window: Window::new(now), waiting: None, back_off: Duration::ZERO, not_before: now }
    }

    /// Bytes have been received.
    pub fn received(&mut self, bytes: usize) {
        self.window.bytes += bytes as u64;
    }

    /// A request has come whole; `follows` if it came together with the one before it of the same client.
    pub fn request(&mut self, follows: bool) {
        self.window.requests += 1;
        self.window.followers += u32::from(follows);
    }

    /// The shard is about to sleep: whether it may wait for more than the first receive.
    pub fn may_wait(&mut self, now: Instant) -> bool {
        let took = now.saturating_duration_since(self.window.began);
        if took >= WINDOW {
            self.judge(now, took);
            self.window = Window::new(now);
        }
        self.window.sleeps += 1;
        self.waiting.as_ref().is_some_and(|waiting| !waiting.is_probing)
    }

    fn judge(&mut self, now: Instant, took: Duration) {
        let window = &self.window;
        if took > WINDOW_MAX {
            self.waiting = None;
            return;
        }
        let Some(waiting) = &mut self.waiting else {
            if self.is_offered && window.is_bulk() && now >= self.not_before {
                let before = Some(window.bytes as f64 / took.as_secs_f64());
                self.waiting = Some(Waiting { before, ..Waiting::default() });
            }
            return;
        };
        match waiting.after(window, took) {
            Verdict::GoOn => {}
            Verdict::Pays => self.back_off = Duration::ZERO,
            Verdict::Over => self.waiting = None,
            Verdict::Harms => {
                self.waiting = None;
                self.back_off = (self.back_off * 2).clamp(BACK_OFF_MIN, BACK_OFF_MAX);
                self.not_before = now + self.back_off;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 16_384;

    /// Plays a load for `seconds`. `step` is told whether a sleep waits and says how long it lasts, in us, how many
    /// batches come, and how many of them together with one before. Returns batches a second and sleeps a batch.
    fn play(moderation: &mut Moderation, seconds: u64, mut step: impl FnMut(bool) -> (u64, u32, u32)) -> (f64, f64) {
        let start = moderation.window.began;
        let (mut now, mut sleeps, mut batches) = (start, 0, 0);
        while now < start + Duration::from_secs(seconds) {
            let (us, came, followers) = step(moderation.may_wait(now));
            now += Duration::from_micros(us);
            (0..came).for_each(|_| moderation.received(BATCH));
            (0..came).for_each(|index| moderation.request(index < followers));
            (sleeps, batches) = (sleeps + 1, batches + came);
        }
        (f64::from(batches) / seconds as f64, f64::from(sleeps) / f64::from(batches))
    }

    fn moderation() -> Moderation {
        Moderation::new(Instant::now(), true)
    }

    fn stream(waits: bool) -> (u64, u32, u32) {
        if waits { (300, 3, 2) } else { (100, 1, 0) }
    }

    #[test]
    fn a_stream_of_batches_is_gathered() {
        let (rate, sleeps) = play(&mut moderation(), 10, stream);
        assert!(rate > 9_900.0 && sleeps < 0.4, "{rate} {sleeps}");
    }

    #[test]
    fn a_stream_that_comes_and_goes_is_gathered() {
        // Every 20 ms it is fast or slow, by a fixed rule that looks like chance.
        let (mut us, mut slow) = (0, 1);
        let (_, sleeps) = play(&mut moderation(), 60, |waits| {
            us += if waits { 300 } else { 100 };
            let chance = (us / 20_000u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62;
            slow = if chance == 0 { 3 } else { 1 };
            let (took, came, followers) = stream(waits);
            (took * slow, came, followers)
        });
        assert!(sleeps < 0.5, "{sleeps}");
    }

    #[test]
    fn who_waits_for_each_answer_is_left_alone() {
        for clients in [1, 5] {
            // Each sends its next batch 70 us after it was answered.
            let (rate, _) = play(&mut moderation(), 60, |waits| (if waits { 370 } else { 70 }, clients, 0));
            assert!(rate > 0.98 * f64::from(clients) / 70e-6, "{clients}: {rate}");
        }
    }

    #[test]
    fn who_has_few_in_flight_is_left_alone() {
        // Five batches 70 us after the last five were answered.
        let (rate, _) = play(&mut moderation(), 60, |waits| (if waits { 370 } else { 70 }, 5, 4));
        assert!(rate > 0.95 * 5.0 / 70e-6, "{rate}");
    }

    #[test]
    fn small_and_rare_requests_are_never_kept_waiting() {
        for (us, bytes) in [(50, 1_100), (2_000, 1 << 20)] {
            let mut moderation = moderation();
            let start = moderation.window.began;
            for step in 0..5_000 {
                assert!(!moderation.may_wait(start + step * Duration::from_micros(us)));
                moderation.received(bytes);
                moderation.request(true);
            }
        }
    }

    #[test]
    fn waiting_ends_with_the_load() {
        let mut moderation = moderation();
        play(&mut moderation, 1, stream);
        assert!(moderation.waiting.is_some());
        let idle = moderation.window.began + Duration::from_secs(1);
        moderation.may_wait(idle);
        assert!(!moderation.may_wait(idle + Duration::from_secs(1)));
    }

    #[test]
    fn a_kernel_that_cannot_wait_is_not_asked_to() {
        let mut moderation = Moderation::new(Instant::now(), false);
        let (_, sleeps) = play(&mut moderation, 2, stream);
        assert_eq!(sleeps, 1.0);
    }
}
