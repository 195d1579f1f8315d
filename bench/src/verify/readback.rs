//! Reads back what partitions have gained during a run, one thread a leader, and has it checked.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use duramen_wire::api::ApiKey;
use duramen_wire::batch::Compression;

use super::check::Checker;
use super::ledger::Doubt;
use super::verdict;
use super::{Found, Ledger, Received};
use crate::Error;
use crate::admin::{Bounds, Cluster, Connection, code_name};
use crate::client::fetch::{self, Batches, Head, Session, Wanted};
use crate::drive::{Setup, Target, TargetId};
use crate::outcome::Verification;
use crate::stop::Stop;

/// How long a broker that went away is waited for, and ends that lag behind their acknowledgements.
const PATIENCE: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(100);
/// Partitions of one request.
const PARTITIONS_MAX: usize = 32;
/// Bytes of one answer, and at least so many of each partition.
const ANSWER_BYTES: i32 = 32 << 20;
const PARTITION_BYTES_MIN: i32 = 1 << 20;
const MAX_WAIT_MS: i32 = 200;
/// Answers one after another that bring nothing new: then what is missing is missing.
const IDLE_ANSWERS_MAX: u32 = 10;
const OFFSET_OUT_OF_RANGE: i16 = 1;

/// One partition to read.
struct Job {
    target: TargetId,
    checker: Checker,
    end: i64,
}

/// Holds what is in the log against what was acknowledged. It never fails: what cannot be read is in the verdict.
pub fn read_back(setup: &Setup, mut ledgers: Vec<Ledger>, received: &[Received], stop: &Stop) -> Verification {
    let mut verification = verdict::sums(&ledgers, received);
    let plan = &setup.plan;
    if !plan.verify {
        verdict::judge(plan, &mut verification, Err("not asked for (--no-verify)".to_owned()));
        return verification;
    }
    let checkers = checkers(setup, &mut ledgers, received);
    let found = awaited_cluster(&plan.servers).and_then(|cluster| read_all(setup, cluster, checkers, stop));
    match found {
        Ok(found) => {
            verdict::add(&mut verification, &found);
            verdict::judge(plan, &mut verification, Ok(&found));
        }
        Err(error) => verdict::judge(plan, &mut verification, Err(format!("could not be read back: {error}"))),
    }
    verification
}

/// One for each target.
fn checkers(setup: &Setup, ledgers: &mut [Ledger], received: &[Received]) -> Vec<Checker> {
    let doubts: Vec<Doubt> = ledgers.iter_mut().flat_map(Ledger::take_doubts).collect();
    let mut by_target: BTreeMap<TargetId, Vec<(u32, u32)>> = BTreeMap::new();
    doubts.iter().for_each(|doubt| by_target.entry(doubt.target).or_default().push((doubt.crc, doubt.records)));
    let produce = setup.plan.produce.as_ref();
    let compression = produce.map_or(Compression::None, |produce| produce.compression.into());
    let checker = |(id, target): (TargetId, &Target)| {
        let entries = ledgers.iter_mut().flat_map(|ledger| ledger.take(id)).collect();
        let read_up_to = received.iter().filter_map(|received| received.up_to.get(&id)).max().copied().unwrap_or(-1);
        let in_doubt = by_target.get(&id).map_or(&[][..], Vec::as_slice);
        Checker::new(entries, in_doubt, target.first_offset, compression).was_read_up_to(read_up_to)
    };
    (0..).zip(&setup.targets).map(checker).collect()
}

/// A broker that went away may be back soon.
fn awaited_cluster(servers: &[String]) -> Result<Cluster, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match Cluster::connect(servers) {
            Err(Error::Unreachable { .. } | Error::Lost { .. }) if Instant::now() < deadline => thread::sleep(LOOK),
            outcome => return outcome,
        }
    }
}

fn read_all(setup: &Setup, mut cluster: Cluster, checkers: Vec<Checker>, stop: &Stop) -> Result<Found, Error> {
    let places = awaited_ends(setup, &mut cluster, &checkers)?;
    let version = cluster.offers(ApiKey::Fetch, fetch::VERSIONS.0, fetch::VERSIONS.1)?;
    let mut by_leader: BTreeMap<i32, Vec<Job>> = BTreeMap::new();
    for ((target, mut checker), (leader, bounds)) in (0..).zip(checkers).zip(places) {
        checker.starts_at(bounds.start);
        by_leader.entry(leader).or_default().push(Job { target, checker, end: bounds.end });
    }
    let already = stop.signal();
    let is_stopped = || stop.signal() != already;
    let brokers = cluster.brokers();
    thread::scope(|scope| {
        let read = |(leader, jobs): (i32, Vec<Job>)| {
            let address = brokers.get(&leader).cloned().unwrap_or_default();
            let is_stopped = &is_stopped;
            scope.spawn(move || Reader::open(&address, &setup.targets, version)?.read(jobs, is_stopped))
        };
        let threads: Vec<_> = by_leader.into_iter().map(read).collect();
        let mut found = Found::default();
        for thread in threads {
            found += thread.join().expect("a reader does not panic")?;
        }
        Ok(found)
    })
}

/// Leader and bounds of each target, once no end lies before what was acknowledged; or as they are when patience ends.
fn awaited_ends(setup: &Setup, cluster: &mut Cluster, checkers: &[Checker]) -> Result<Vec<(i32, Bounds)>, Error> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let mut topics = BTreeMap::new();
        for target in &setup.targets {
            if !topics.contains_key(&target.topic) {
                let topic = cluster.topic(&target.topic)?;
                let bounds = cluster.bounds(&topic)?;
                topics.insert(target.topic.clone(), (topic, bounds));
            }
        }
        let place = |target: &Target| {
            let (topic, bounds) = &topics[&target.topic];
            let index = usize::try_from(target.partition).ok()?;
            Some((*topic.leaders.get(index)?, *bounds.get(index)?))
        };
        let places: Option<Vec<_>> = setup.targets.iter().map(place).collect();
        let Some(places) = places else {
            return Err(Error::Refused {
                what: "reading back".to_owned(),
                code: "partitions are gone".to_owned(),
                remedy: None,
            });
        };
        let lags = |(checker, (_, bounds)): (&Checker, &(i32, Bounds))| checker.last_end().unwrap_or(0) > bounds.end;
        if Instant::now() >= deadline || !checkers.iter().zip(&places).any(lags) {
            return Ok(places);
        }
        thread::sleep(LOOK);
    }
}

/// Reads partitions of one leader.
struct Reader<'t> {
    connection: Connection,
    targets: &'t [Target],
    version: i16,
    request: Vec<u8>,
    answer: Vec<u8>,
}

/// What an answer said of one partition.
enum Told {
    Nothing,
    Progress,
    OutOfRange,
    Unreadable,
    Refused(i16),
}

impl<'t> Reader<'t> {
    fn open(address: &str, targets: &'t [Target], version: i16) -> Result<Self, Error> {
        let connection = Connection::open(address)?;
        Ok(Reader { connection, targets, version, request: Vec::new(), answer: Vec::new() })
    }

    /// Reads all of them, some at a time.
    fn read(&mut self, jobs: Vec<Job>, is_stopped: &(impl Fn() -> bool + ?Sized)) -> Result<Found, Error> {
        let mut waiting = jobs.into_iter();
        let mut active: Vec<Job> = Vec::new();
        let mut found = Found::default();
        let mut idle = 0;
        loop {
            let (done, left): (Vec<Job>, Vec<Job>) =
                active.into_iter().partition(|job| job.checker.expected() >= job.end);
            done.into_iter().for_each(|job| found += job.checker.end());
            active = left;
            active.extend(waiting.by_ref().take(PARTITIONS_MAX - active.len()));
            if active.is_empty() {
                return Ok(found);
            }
            if is_stopped() {
                return Err(Error::Process { what: "reading back".to_owned(), reason: "a signal ended it".to_owned() });
            }
            // Those that have nothing to read leave in the next round, without being asked for.
            if active.iter().any(|job| job.checker.expected() >= job.end) {
                continue;
            }
            let mut told = self.ask(&mut active)?;
            for (job, told) in active.iter_mut().zip(&mut told).filter(|(_, told)| matches!(told, Told::OutOfRange)) {
                let target = &self.targets[job.target as usize];
                let before = job.checker.expected();
                job.checker.starts_at(self.connection.log_start(&target.topic, target.partition)?);
                // An offset that the log begins below is beyond its end: asking again brings nothing.
                *told = if job.checker.expected() > before { Told::Progress } else { Told::Nothing };
            }
            let progress = told.iter().any(|told| matches!(told, Told::Progress | Told::Unreadable));
            idle = if progress { 0 } else { idle + 1 };
            let gave_up = idle == IDLE_ANSWERS_MAX;
            idle %= IDLE_ANSWERS_MAX;
            let mut left = Vec::new();
            for (mut job, told) in active.into_iter().zip(told) {
                match told {
                    Told::Unreadable => {
                        found += job.checker.unreadable();
                        continue;
                    }
                    Told::Refused(code) if gave_up => return Err(refused(&self.targets[job.target as usize], code)),
                    // It was acknowledged, the broker says that it is there, and does not give it.
                    Told::Nothing if gave_up => job.end = job.checker.expected(),
                    _ => {}
                }
                left.push(job);
            }
            active = left;
        }
    }

    /// One exchange; says of each job what came of it.
    fn ask(&mut self, jobs: &mut [Job]) -> Result<Vec<Told>, Error> {
        let each = ANSWER_BYTES / i32::try_from(jobs.len()).expect("there are few jobs at a time");
        let head = Head {
            max_wait_ms: MAX_WAIT_MS,
            min_bytes: 1,
            max_bytes: ANSWER_BYTES,
            partition_bytes: each.max(PARTITION_BYTES_MIN),
            session: Session::NONE,
        };
        let wanted: Vec<Wanted> =
            jobs.iter().map(|job| Wanted { target: job.target, offset: job.checker.expected() }).collect();
        self.request.clear();
        fetch::request(&mut self.request, self.version, &head, self.targets, &wanted, &[]);
        self.connection.exchange(ApiKey::Fetch, &mut self.request, &mut self.answer)?;
        let mut told: Vec<Told> = jobs.iter().map(|_| Told::Nothing).collect();
        let targets = self.targets;
        let place: BTreeMap<(&[u8], i32), usize> = jobs
            .iter()
            .enumerate()
            .map(|(at, job)| {
                let target = &targets[job.target as usize];
                ((target.topic.as_bytes(), target.partition), at)
            })
            .collect();
        let answered = fetch::answer(&self.answer, self.version, |partition| {
            if let Some(&at) = place.get(&(partition.topic, partition.index)) {
                told[at] = take(&mut jobs[at], partition.error, partition.records);
            }
        });
        let head = answered.map_err(|error| self.connection.not_kafka(error))?;
        match head.error {
            0 => Ok(told),
            code => Err(Error::Refused { what: "a fetch".to_owned(), code: code_name(code), remedy: None }),
        }
    }
}

fn take(job: &mut Job, error: i16, records: &[u8]) -> Told {
    match error {
        0 => {}
        OFFSET_OUT_OF_RANGE => return Told::OutOfRange,
        code => return Told::Refused(code),
    }
    let before = job.checker.expected();
    for batch in Batches::new(records) {
        match batch {
            Ok(batch) => job.checker.batch(&batch),
            Err(_) => return Told::Unreadable,
        }
    }
    if job.checker.expected() > before { Told::Progress } else { Told::Nothing }
}

fn refused(target: &Target, code: i16) -> Error {
    let what = format!("reading back {}:{}", target.topic, target.partition);
    Error::Refused { what, code: code_name(code), remedy: None }
}
