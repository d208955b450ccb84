//! The thread of the channel: asks the peer every ten seconds and when something has changed, answers it, hands changes on.
//! Nobody waits for it: what it knows of the peer is there to be looked at, what it has to say goes into bounded channels.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::judge::{self, Me, Verdict};
use super::key::Keys;
use super::message::{Answer, Ask, Object, Profile, Push, Request, Said, Who};
use super::seal::Flaw;
use super::socket::{self, ASKED_WITHIN, Asked};
use super::watch::{Note, Peer, Problem};
use crate::clock;

pub use super::socket::Point;

/// How often the peer is asked.
pub const EVERY: Duration = Duration::from_secs(10);
/// However often there is a reason, it is asked no sooner after the last time.
const NOT_SOONER: Duration = Duration::from_secs(1);
/// An address that cannot be listened at is tried again after so long.
const AGAIN: Duration = Duration::from_secs(5);
/// Connections of the peer at a time.
const CLIENTS: usize = 16;
/// A change is done within this time, or the peer is told that it is not known.
const DONE_WITHIN: Duration = Duration::from_secs(6);
/// A peer that does not read its answer is let go after so long.
const READ_WITHIN: Duration = Duration::from_secs(10);

/// What the file says of the pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `pair_peer`.
    pub peer: Point,
    /// `pair_listen`; `None` = the peer cannot ask.
    pub listen: Option<Point>,
    /// `pair_key_file`.
    pub key_file: PathBuf,
    /// `pair_accept_changes`.
    pub accepts_changes: bool,
}

/// Makes the objects of a profile: its digests with that function.
pub type Objects = Arc<dyn Fn(&dyn Fn(&[u8]) -> String) -> Vec<Object> + Send + Sync>;

/// What is wanted of the channel; each one is looked at anew, also where it says the same: the key may be another one.
#[derive(Clone)]
pub struct Wanted {
    /// What the file says.
    pub settings: Settings,
    /// This machine's name.
    pub name: String,
    /// Version of this program.
    pub tandem: String,
    /// How we are configured.
    pub objects: Objects,
}

/// A change for the peer, and where its answer goes.
#[derive(Debug)]
pub struct Outgoing {
    /// What it shall do.
    pub push: Push,
    /// What it said: the peer by name, and its words.
    pub reply: oneshot::Sender<(String, Result<Said, Problem>)>,
}

/// A change that the peer wants here, and where the answer goes.
#[derive(Debug)]
pub struct Incoming {
    /// What is wanted.
    pub push: Push,
    /// By whom.
    pub from: Who,
    /// What is said to it. Closed: nobody waits any more.
    pub reply: oneshot::Sender<Said>,
}

/// What comes out.
#[derive(Clone, Debug)]
pub struct Outputs {
    /// What is known of the peer.
    pub peer: watch::Sender<Option<Arc<Peer>>>,
    /// Lines for the journal.
    pub notes: mpsc::Sender<Note>,
    /// Changes that the peer wants.
    pub orders: mpsc::Sender<Incoming>,
}

/// What an exchange needs: with another key or other words it is another one.
struct Face {
    settings: Settings,
    keys: Keys,
    me: Me,
}

struct House {
    /// What this process draws for its number.
    random: [u8; 32],
    face: Mutex<Option<Arc<Face>>>,
    peer: Mutex<Peer>,
    out: Outputs,
    /// There is a reason to ask the peer now.
    hint: Notify,
}

/// A question under way, and what it was asked with.
type Asking = JoinHandle<(Arc<Face>, Result<Answer, Problem>)>;

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs until the sender of `wanted` is dropped.
///
/// # Errors
/// The system has no random bytes.
pub async fn run(
    mut wanted: watch::Receiver<Arc<Wanted>>,
    mut pushes: mpsc::Receiver<Outgoing>,
    out: Outputs,
) -> io::Result<()> {
    let peer = Peer::new(wanted.borrow().settings.peer.to_string(), clock::now());
    let (face, hint) = (Mutex::new(None), Notify::new());
    let house = Arc::new(House { random: socket::nonce()?, face, peer: Mutex::new(peer), out, hint });
    let mut listening = Listening::default();
    let mut asking: Option<Asking> = None;
    let (mut due, mut begun) = (clock::now(), clock::now());
    house.look(&wanted.borrow_and_update().clone(), clock::now());
    loop {
        let now = clock::now();
        listening.at(house.face().and_then(|face| face.settings.listen.clone()), &house);
        if asking.is_none() && due <= now {
            if house.face().is_none() {
                // Perhaps the key can be read by now.
                house.look(&wanted.borrow().clone(), now);
            }
            (begun, due) = (now, now + EVERY);
            asking = house.face().map(|face| tokio::spawn(house.question(face)));
        }
        tokio::select! {
            changed = wanted.changed() => {
                if changed.is_err() {
                    break;
                }
                house.look(&wanted.borrow_and_update().clone(), clock::now());
                due = clock::now();
            }
            done = ended(&mut asking) => {
                asking = None;
                if let Some((face, answer)) = done
                    && house.face().is_some_and(|now| Arc::ptr_eq(&now, &face))
                {
                    house.take(answer, clock::now());
                }
            }
            () = tokio::time::sleep_until(due.into()), if asking.is_none() => {}
            () = house.hint.notified() => due = due.min((begun + NOT_SOONER).max(clock::now())),
            Some(outgoing) = pushes.recv() => {
                tokio::spawn(house.push(outgoing));
            }
        }
    }
    listening.at(None, &house);
    house.out.peer.send_replace(None);
    Ok(())
}

/// The result of a task; never, while there is none. `None`: it has failed.
async fn ended<T>(task: &mut Option<JoinHandle<T>>) -> Option<T> {
    match task {
        Some(task) => task.await.ok(),
        None => std::future::pending().await,
    }
}

impl House {
    fn face(&self) -> Option<Arc<Face>> {
        locked(&self.face).clone()
    }

    /// Looks at what is wanted, and at the key.
    fn look(&self, wanted: &Wanted, now: Instant) {
        let settings = &wanted.settings;
        let keys = Keys::read(&settings.key_file);
        let (mut face, mut peer) = (locked(&self.face), locked(&self.peer));
        if peer.address != settings.peer.to_string() {
            *peer = Peer::new(settings.peer.to_string(), now);
        }
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => {
                *face = None;
                let note = peer.failed(Problem::Key(error), now);
                self.tell(note, &peer);
                return;
            }
        };
        let other_key = face.as_ref().is_some_and(|face| face.keys != keys);
        let digest = |bytes: &[u8]| keys.digest(bytes);
        let profile = Arc::new(Profile::new((wanted.objects)(&digest), &digest));
        let notes = peer.ours(Arc::clone(&profile), other_key, now);
        let id = judge::number(&keys, &self.random);
        let who = Who { id, name: wanted.name.clone(), tandem: wanted.tandem.clone() };
        let me = Me { who, accepts_changes: settings.accepts_changes, profile };
        *face = Some(Arc::new(Face { settings: settings.clone(), keys, me }));
        self.tell(notes, &peer);
    }

    /// Asks how the peer is configured.
    fn question(
        &self,
        face: Arc<Face>,
    ) -> impl Future<Output = (Arc<Face>, Result<Answer, Problem>)> + use<> {
        let known = locked(&self.peer).known().map(str::to_owned);
        let ask = Ask::Compare { mine: face.me.profile.whole.clone(), known };
        async move {
            let answer = asked(&face, ask).await;
            (face, answer)
        }
    }

    /// What came of that.
    fn take(&self, answer: Result<Answer, Problem>, now: Instant) {
        let mut peer = locked(&self.peer);
        match answer.and_then(|answer| peer.heard(answer, now)) {
            Ok(notes) => self.tell(notes, &peer),
            Err(problem) => {
                let note = peer.failed(problem, now);
                self.tell(note, &peer);
            }
        }
    }

    /// Hands a change to the peer, and its words to whoever wanted it.
    fn push(self: &Arc<Self>, outgoing: Outgoing) -> impl Future<Output = ()> + use<> {
        let (house, face) = (Arc::clone(self), self.face());
        async move {
            let Outgoing { push, reply } = outgoing;
            let title = locked(&house.peer).title();
            let answer = match face {
                Some(face) => asked(&face, Ask::Change(push)).await.map(|answer| answer.said),
                None => {
                    let problem = locked(&house.peer).problem.as_ref().map(|(problem, _)| problem.clone());
                    Err(problem.unwrap_or_else(|| Problem::Own("the channel is closed".to_owned())))
                }
            };
            let _ = reply.send((title, answer));
            house.hint.notify_one();
        }
    }

    /// Lines for the journal, and what is known now.
    fn tell(&self, notes: impl IntoIterator<Item = Note>, peer: &Peer) {
        for note in notes {
            // One who does not read them loses some.
            let _ = self.out.notes.try_send(note);
        }
        self.out.peer.send_replace(Some(Arc::new(peer.clone())));
    }

    fn refuse(&self, name: &'static str, from: SocketAddr) {
        let mut peer = locked(&self.peer);
        let note = peer.refuse(name, &from.ip().to_canonical().to_string());
        self.tell(note, &peer);
    }

    /// One connection of the peer.
    async fn client(self: Arc<Self>, mut stream: TcpStream, from: SocketAddr, place: OwnedSemaphorePermit) {
        let Some(face) = self.face() else { return };
        let asked = match tokio::time::timeout(ASKED_WITHIN, socket::receive(&mut stream, &face.keys)).await {
            Err(_) => return self.refuse("slow", from),
            Ok(Err(_)) => return self.refuse("broke_off", from),
            Ok(Ok(Err(flaw))) => return self.refuse(named(flaw), from),
            Ok(Ok(Ok(asked))) => asked,
        };
        let Asked { bound, document } = asked;
        let (said, to_peer) = match document {
            Ok(document) => (self.decide(&face, &document, from).await, true),
            Err(flaw) => {
                self.refuse(named(flaw), from);
                (judge::stranger(), false)
            }
        };
        let answer = judge::answer(&face.me, said, to_peer);
        let _ =
            tokio::time::timeout(READ_WITHIN, socket::reply(&mut stream, &face.keys, &bound, &answer)).await;
        drop(place);
    }

    /// What is said to the peer.
    async fn decide(&self, face: &Face, document: &[u8], from: SocketAddr) -> Said {
        match judge::judge(document, &face.me) {
            Verdict::Compared { said, mine } => {
                let mut peer = locked(&self.peer);
                if peer.was_asked(Some(&mine)) {
                    self.hint.notify_one();
                }
                self.tell(None, &peer);
                said
            }
            Verdict::Refused(name, said) => {
                self.refuse(name, from);
                said
            }
            Verdict::Change(push, from) => {
                {
                    let mut peer = locked(&self.peer);
                    peer.was_asked(None);
                    self.tell(None, &peer);
                }
                let (reply, done) = oneshot::channel();
                if self.out.orders.try_send(Incoming { push, from, reply }).is_err() {
                    return judge::said("busy", "it is busy with other changes", "try again later");
                }
                match tokio::time::timeout(DONE_WITHIN, done).await {
                    Ok(Ok(said)) => said,
                    _ => {
                        let problem = format!(
                            "it has not said within {} s whether that is done",
                            DONE_WITHIN.as_secs()
                        );
                        judge::said("slow", &problem, "look at `tandem overrides` there")
                    }
                }
            }
        }
    }
}

async fn asked(face: &Face, ask: Ask) -> Result<Answer, Problem> {
    let request = Request { from: face.me.who.clone(), ask };
    let answer =
        socket::ask(&face.keys, &face.settings.peer, face.settings.listen.as_ref(), &request).await?;
    if answer.from.id == face.me.who.id { Err(Problem::Myself) } else { Ok(answer) }
}

/// By which name a flaw of a request is counted.
const fn named(flaw: Flaw) -> &'static str {
    match flaw {
        Flaw::NotAuthenticated => "not_authenticated",
        Flaw::Version(_) => "other_version",
        Flaw::TooLong(_) => "too_long",
        Flaw::NotAPeer | Flaw::CutOff => "malformed",
    }
}

/// Where the peer can ask.
#[derive(Default)]
struct Listening(Option<(Point, JoinHandle<()>)>);

impl Listening {
    /// There, from now on; an address that stays is not let go of.
    fn at(&mut self, point: Option<Point>, house: &Arc<House>) {
        let dead = |task: &JoinHandle<()>| task.is_finished();
        if self.0.as_ref().is_some_and(|(at, task)| Some(at) != point.as_ref() || dead(task))
            && let Some((_, task)) = self.0.take()
        {
            task.abort();
        }
        if let (None, Some(at)) = (&self.0, point) {
            self.0 = Some((at.clone(), tokio::spawn(accept(at, Arc::clone(house)))));
        }
    }
}

/// Listens, however often that has to be tried, and lets the peer in.
async fn accept(at: Point, house: Arc<House>) {
    let mut told = String::new();
    let listener = loop {
        match socket::listen(&at).await {
            Ok(listener) => break listener,
            Err(error) => {
                let problem = format!("pair_listen: cannot listen at {at}: {error}");
                if problem != told {
                    tracing::error!(
                        "{problem}; the peer cannot ask, tried again every {} s",
                        AGAIN.as_secs()
                    );
                    told = problem;
                }
                tokio::time::sleep(AGAIN).await;
            }
        }
    };
    tracing::info!("the peer can ask at {at}");
    let places = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let Ok((stream, from)) = listener.accept().await else {
            // Out of descriptors, for one: it passes.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // Before a byte is read or written: whoever else is on the network costs an accept.
        let Some(face) = house.face() else {
            house.refuse("closed", from);
            continue;
        };
        if face.settings.peer.address != from.ip().to_canonical() {
            house.refuse("stranger", from);
            continue;
        }
        match Arc::clone(&places).try_acquire_owned() {
            Ok(place) => {
                tokio::spawn(Arc::clone(&house).client(stream, from, place));
            }
            Err(_) => house.refuse("busy", from),
        }
    }
}
