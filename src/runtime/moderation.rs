//! When a sleep may last a little longer, so that one wake-up serves several requests.
//!
//! What network adapters do with their interrupts, for a shard: under bulk load a wake-up costs more than what it was for.
//! A sleep then ends when as many receives have completed as the clients are known to send at a time, or with the first
//! that completes once [`PATIENCE`] is over (IORING_FEAT_MIN_TIMEOUT, Linux 6.12). It helps where clients send on without
//! waiting for each answer. Where they wait, it would only slow them down: then they are left alone, and tried again
//! after a while.

use std::time::{Duration, Instant};

/// How long the first receive of a sleep may wait for others.
pub(super) const PATIENCE: Duration = Duration::from_micros(300);
/// The load is judged by stretches of this length.
const WINDOW: Duration = Duration::from_millis(50);
/// A load is bulk from so many sleeps in a window on, and so many bytes received in each.
const SLEEPS_MIN: u32 = 50;
const BYTES_PER_SLEEP_MIN: u64 = 8 << 10;
/// Waiting goes on while one of so many requests has come together with the one before it.
const FOLLOWERS_SHARE: u32 = 3;
/// In one of so many windows it is found out how many receives come within `PATIENCE`.
const WINDOWS_PER_PROBE: u32 = 20;
/// Receives that end a sleep then, and the least that do at other times.
const RECEIVES_MAX: usize = 16;
const RECEIVES_MIN: usize = 2;
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
    windows: u32,
    /// The most receives that came in a sleep of the last probe.
    burst: usize,
}

#[derive(Debug)]
struct Window {
    began: Instant,
    sleeps: u32,
    bytes: u64,
    requests: u32,
    followers: u32,
    /// Receives since the last sleep, and the most there were.
    receives: usize,
    receives_most: usize,
}

impl Window {
    fn new(began: Instant) -> Self {
        Self { began, sleeps: 0, bytes: 0, requests: 0, followers: 0, receives: 0, receives_most: 0 }
    }

    fn is_bulk(&self) -> bool {
        self.sleeps >= SLEEPS_MIN && self.bytes >= BYTES_PER_SLEEP_MIN * u64::from(self.sleeps)
    }

    fn pays(&self) -> bool {
        self.followers > 0 && self.followers >= self.requests / FOLLOWERS_SHARE
    }
}

impl Waiting {
    fn is_probing(&self) -> bool {
        self.windows.is_multiple_of(WINDOWS_PER_PROBE)
    }

    fn receives_wanted(&self) -> usize {
        if self.is_probing() { RECEIVES_MAX } else { self.burst.clamp(RECEIVES_MIN, RECEIVES_MAX) }
    }

    fn next_window(&mut self, last: &Window) {
        if self.is_probing() {
            self.burst = last.receives_most;
        }
        self.windows += 1;
    }
}

impl Moderation {
    pub fn new(now: Instant, is_offered: bool) -> Self {
        Self { is_offered, window: Window::new(now), waiting: None, back_off: Duration::ZERO, not_before: now }
    }

    /// Bytes have been received.
    pub fn received(&mut self, bytes: usize) {
        self.window.receives += 1;
        self.window.bytes += bytes as u64;
    }

    /// A request has come whole; `follows` if it came together with the one before it of the same client.
    pub fn request(&mut self, follows: bool) {
        self.window.requests += 1;
        self.window.followers += u32::from(follows);
    }

    /// The shard is about to sleep: how many receives are to end that, if it may wait for more than the first.
    pub fn receives_wanted(&mut self, now: Instant) -> Option<usize> {
        let window = &mut self.window;
        window.receives_most = window.receives_most.max(std::mem::take(&mut window.receives));
        if now.saturating_duration_since(window.began) >= WINDOW {
            self.judge(now);
            self.window = Window::new(now);
        }
        self.window.sleeps += 1;
        self.waiting.as_ref().map(Waiting::receives_wanted)
    }

    fn judge(&mut self, now: Instant) {
        match &mut self.waiting {
            None if self.is_offered && self.window.is_bulk() && now >= self.not_before => {
                self.waiting = Some(Waiting::default());
            }
            None => {}
            Some(waiting) if self.window.pays() => {
                waiting.next_window(&self.window);
                self.back_off = Duration::ZERO;
            }
            Some(_) => {
                self.waiting = None;
                self.not_before = now + self.back_off;
                self.back_off = (self.back_off * 2).clamp(BACK_OFF_MIN, BACK_OFF_MAX);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BATCH: usize = 16_384;

    /// Plays a load for `seconds`. `step` is told how many receives a sleep waits for and says how long it lasts, in us,
    /// how many batches come, and how many of them together with one before. Returns batches a second and sleeps a batch.
    fn play(moderation: &mut Moderation, seconds: u64, step: impl Fn(Option<usize>) -> (u64, u32, u32)) -> (f64, f64) {
        let start = moderation.window.began;
        let (mut now, mut sleeps, mut batches) = (start, 0, 0);
        while now < start + Duration::from_secs(seconds) {
            let (us, came, followers) = step(moderation.receives_wanted(now));
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

    #[test]
    fn a_stream_of_batches_is_gathered() {
        // A batch every 100 us, whatever the broker does.
        let (rate, sleeps) = play(&mut moderation(), 10, |wanted| match wanted {
            Some(3..) => (300, 3, 2),
            Some(2) => (200, 2, 1),
            _ => (100, 1, 0),
        });
        assert!(rate > 9_900.0 && sleeps < 0.4, "{rate} {sleeps}");
    }

    #[test]
    fn who_waits_for_each_answer_is_left_alone() {
        for clients in [1, 5] {
            // Each sends its next batch 70 us after it was answered.
            let (rate, _) = play(&mut moderation(), 60, |wanted| match wanted {
                Some(wanted) if wanted > clients => (370, clients as u32, 0),
                _ => (70, clients as u32, 0),
            });
            assert!(rate > 0.98 * clients as f64 / 70e-6, "{clients}: {rate}");
        }
    }

    #[test]
    fn who_has_few_in_flight_is_not_slowed_down() {
        // Five batches 70 us after the last five were answered.
        let (rate, _) = play(&mut moderation(), 60, |wanted| if wanted > Some(5) { (370, 5, 4) } else { (70, 5, 4) });
        assert!(rate > 0.9 * 5.0 / 70e-6, "{rate}");
    }

    #[test]
    fn small_and_rare_requests_are_never_kept_waiting() {
        for (us, bytes) in [(50, 1_100), (2_000, 1 << 20)] {
            let mut moderation = moderation();
            let start = moderation.window.began;
            for step in 0..5_000 {
                assert_eq!(moderation.receives_wanted(start + step * Duration::from_micros(us)), None);
                moderation.received(bytes);
                moderation.request(true);
            }
        }
    }

    #[test]
    fn waiting_ends_with_the_load() {
        let mut moderation = moderation();
        play(&mut moderation, 1, |wanted| if wanted.is_some() { (300, 3, 2) } else { (100, 1, 0) });
        assert!(moderation.waiting.is_some());
        let later = moderation.window.began + Duration::from_secs(1);
        assert!(moderation.receives_wanted(later).is_some(), "the last window was busy");
        assert_eq!(moderation.receives_wanted(later + Duration::from_secs(1)), None);
    }
}
