// ---------------------------------------------------------------- timeline
const LEVELS = { error: 'bad', warning: 'warn', info: 'fresh' };
function eventKind(one) {
  if (one.to === 'MASTER' || one.to === 'up' || one.to === 'UP') return 'good';
  if (one.to === 'FAULT' || one.to === 'down' || one.to === 'DOWN') return 'bad';
  return LEVELS[one.level] || 'fresh';
}
function eventItem(one, isNew) {
  const who = one.real_server ? `${one.real_server}` : one.subject || 'daemon';
  const day = new Date(one.at).toDateString() === new Date().toDateString();
  const kind = eventKind(one);
  return h('li', { class: isNew ? 'new' : null, 'data-key': one.number }, glyph(kind, one.level),
    h('div', {}, h('div', { class: 'head' }, h('span', { class: 'who' }, who), h('time', { datetime: one.at, title: one.at }, (day ? '' : one.at.slice(5, 10) + ' ') + clock(one.at))),
      one.from && one.to ? h('div', {}, `${one.from} → ${one.to}`) : null,
      h('div', { class: 'text' }, one.text),
      one.real_server ? h('div', { class: 'by' }, one.subject) : null,
      one.by ? h('div', { class: 'by' }, 'by ' + one.by) : null,
      one.cause ? h('span', { class: 'chip' }, one.cause.replaceAll('_', ' ')) : null));
}
const inEvent = one => !query || [one.subject, one.real_server, one.text, one.cause, one.by, one.kind].some(words => words && words.toLowerCase().includes(query));
function drawEvents(newest) {
  const list = events.filter(inEvent).slice(-KEPT_EVENTS).reverse();
  put($('events'), list.map(one => eventItem(one, newest && one.number > newest)));
  $('no-events').hidden = list.length > 0;
  text($('no-events'), query ? 'No event matches.' : 'Nothing yet.');
}
function takeEvents(more) {
  const newest = events.length ? events[events.length - 1].number : 0;
  // A daemon that begins to count anew has forgotten: so do we.
  if (more.some(one => one.number <= newest && !events.some(old => old.number === one.number && old.at === one.at))) events = [];
  const known = new Set(events.map(one => one.number));
  events = events.concat(more.filter(one => !known.has(one.number))).sort((a, b) => a.number - b.number).slice(-2 * KEPT_EVENTS);
  drawEvents(newest);
  const loud = more.filter(one => one.level !== 'info').pop();
  if (newest && loud) text($('announce'), `${loud.real_server || loud.subject}: ${loud.text}`);
}

// ---------------------------------------------------------------- asking
class Refused extends Error { constructor(status, words) { super(words); this.status = status; } }
function ask(path, more) {
  const headers = Object.assign({ Accept: 'application/json' }, more && more.headers, token ? { Authorization: 'Bearer ' + token } : {});
  return fetch(path, { cache: 'no-store', credentials: 'omit', headers, signal: more && more.signal }).then(async answer => {
    if (answer.ok) return answer;
    let words = 'status ' + answer.status;
    try { words = (await answer.json()).error.problem; } catch (_) { /* no document: the number must do */ }
    throw new Refused(answer.status, words);
  });
}
function draw() {
  const began = performance.now();
  digest(view);
  const { daemon } = view;
  text($('host'), daemon.host || 'Tandem');
  text($('edition'), 'Tandem ' + daemon.tandem + (daemon.instance ? ' · ' + daemon.instance : ''));
  findProblems();
  document.title = (problems.some(one => one.level === 'bad') ? '✕ ' : problems.length ? '! ' : '') + (daemon.host || 'Tandem') + ' · Tandem';
  drawTiles(); drawAttention(); drawInstances(); drawGrid();
  put($('foot'), [`running for ${span(daemon.running)}`, daemon.config, daemon.config_digest ? 'configuration ' + daemon.config_digest.slice(0, 12) : '', `${daemon.reloads} reloads` + (daemon.reloads_refused ? `, ${daemon.reloads_refused} refused` : ''), daemon.lag ? `the vrrp thread woke at most ${(daemon.lag.worst_lately * 1000).toFixed(1)} ms late` : '', view.pair && view.pair.state === 'agrees' ? `configured as ${view.pair.name || view.pair.peer}` : '', view.ipvs.repaired ? `${view.ipvs.repaired} entries of the kernel's table put right` : '', view.ipvs.foreign_services ? `${view.ipvs.foreign_services} services of somebody else in it` : ''].filter(Boolean).map(words => h('span', {}, words)));
  forget();
  measured.renders += 1; measured.last = performance.now() - began; measured.total += measured.last; if (measured.renders > 1) measured.worst = Math.max(measured.worst, measured.last);
}
function showLive() {
  const live = $('live');
  const is = stale ? 'stale' : streaming ? 'live' : view ? 'polling' : 'connecting';
  live.dataset.is = is;
  text($('live-text'), { stale: 'no answer', live: 'live', polling: 'every few seconds', connecting: 'connecting' }[is]);
  $('main').classList.toggle('stale', !!stale && !!view);
}
let timer = 0, inFlight = false, failures = 0, nextAt = 0, lastBegan = 0, soon = false;
const LEAST = 2000, PATIENCE = 20000;
function plan(delay) { clearTimeout(timer); nextAt = performance.now() + delay; timer = setTimeout(poll, delay); }
async function poll() {
  if (inFlight) return;
  inFlight = true; soon = false;
  const began = lastBegan = performance.now();
  const patience = new AbortController(), alarm = setTimeout(() => patience.abort(), PATIENCE);
  let delay = LEAST;
  try {
    const words = await (await ask('/v1/status', { signal: patience.signal })).text();
    const parsing = performance.now();
    view = JSON.parse(words);
    measured.parse = performance.now() - parsing;
    measured.bytes = words.length;
    draw();
    failures = 0; stale = null;
    $('token-form').hidden = true;
    // Dear answers are asked for less often: at most an eighth of the time goes into them.
    delay = Math.max(LEAST, 8 * (performance.now() - began));
    if (document.hidden) delay = Math.max(delay, 30000);
    if (!streaming && !connecting) connect();
  } catch (error) {
    if (error instanceof Refused && error.status === 401) { askForToken(error.message); inFlight = false; clearTimeout(alarm); return; }
    failures += 1;
    stale = stale || new Date();
    window.tandem.error = String(error && error.stack || error);
    delay = Math.min(15000, LEAST * 2 ** Math.min(failures - 1, 3));
    drawStale(error instanceof Refused ? error.message : '');
  } finally { clearTimeout(alarm); inFlight = false; }
  plan(delay);
  drawBanner();
  showLive();
}
let reason = '';
function drawStale(words) { reason = words; drawBanner(); }
function drawBanner() {
  const banner = $('banner');
  banner.hidden = !stale;
  if (!stale) return;
  const what = reason ? `The daemon refuses to tell: ${reason}.` : 'The daemon does not answer';
  // An alert is read aloud at each change of its text: what counts up stands beside it.
  text($('banner-text'), reason ? what : `${what} since ${clock(stale)}.` + (view ? ` What is shown is from ${clock(view.at)}.` : '') + ' It is asked again and again.');
  text($('banner-for'), reason ? '' : `For ${span((Date.now() - stale) / 1000)}.`);
}
function askForToken(words) {
  $('token-form').hidden = false;
  text($('token-note'), token ? words : '');
  streaming = false; stale = null; $('banner').hidden = true;
  text($('live-text'), 'token needed');
  $('token').focus();
}
$('token-form').addEventListener('submit', event => {
  event.preventDefault();
  token = $('token').value.trim();
  try { sessionStorage.setItem('tandem-token', token); } catch (_) { /* it lives as long as the page */ }
  $('token').value = '';
  poll();
});

// The stream by fetch: EventSource cannot send a token.
let connecting = false, lastEvent = null, streamFailures = 0;
async function connect() {
  connecting = true;
  try {
    if (lastEvent && !await goesOn()) lastEvent = null;
    if (!lastEvent) await beginAnew();
    const answer = await ask('/v1/events', { headers: { Accept: 'text/event-stream', 'Last-Event-ID': String(lastEvent) } });
    streaming = true; streamFailures = 0; showLive();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (let rest = '';;) {
      const { value, done } = await reader.read();
      if (done) break;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      takeBlocks(blocks);
    }
  } catch (error) {
    if (error instanceof Refused && error.status === 404) streamFailures = 10;
  }
  streaming = false; connecting = false; streamFailures += 1;
  showLive();
  setTimeout(() => { if (!streaming && !connecting && view && !stale) connect(); }, Math.min(60000, 3000 * 2 ** Math.min(streamFailures - 1, 5)));
}
/** The journal is still the one that the last event stood in: after a boot numbers are given again. */
async function goesOn() {
  const known = events.find(one => one.number === lastEvent);
  const journal = await (await ask('/v1/journal?since=' + (lastEvent - 1))).json(), first = journal.events[0];
  if (!known || !first) return false;
  return first.number === lastEvent ? first.at === known.at : first.number > lastEvent && journal.forgotten >= lastEvent;
}
async function beginAnew() {
  const journal = await (await ask('/v1/journal')).json();
  lastEvent = journal.events.length ? journal.events[journal.events.length - 1].number : 0;
  events = [];
  takeEvents(journal.events.slice(-KEPT_EVENTS));
}
function takeBlocks(blocks) {
  const fresh = [];
  for (const block of blocks) {
    let name = 'message', data = '';
    for (const one of block.split('\n')) { if (one.startsWith('event: ')) name = one.slice(7); else if (one.startsWith('data: ')) data += one.slice(6); }
    if (!data) continue;
    try {
      const said = JSON.parse(data);
      if (name === 'message') { fresh.push(said); lastEvent = said.number; }
      // Of another boot, or more than was kept for us: what is kept is read.
      else if (name === 'missed' || (name === 'hello' && said.newest < lastEvent)) beginAnew().catch(() => { lastEvent = null; });
    } catch (_) { /* a line that is none of ours */ }
  }
  if (!fresh.length) return;
  takeEvents(fresh);
  // What has happened shows at once, but never more often than every two seconds.
  const wait = lastBegan + LEAST - performance.now();
  if (!soon && !inFlight && nextAt - performance.now() > Math.max(0, wait)) { soon = true; plan(Math.max(0, wait)); }
}

// ---------------------------------------------------------------- around it
const THEMES = { auto: ['Colours: as the system has them', 'M8 2a6 6 0 1 0 0 12V2Zm0 0a6 6 0 0 1 0 12'], light: ['Colours: light', 'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1'], dark: ['Colours: dark', 'M13.5 10A6 6 0 0 1 6 2.5a6 6 0 1 0 7.5 7.5Z'] };
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  $('theme').setAttribute('aria-label', THEMES[name][0] + '; press for the next');
  $('theme').title = THEMES[name][0];
  put($('theme'), line(THEMES[name][1]));
  try { localStorage.setItem('tandem-theme', name); } catch (_) { /* for this page only */ }
}
let theme = 'auto';
try { theme = localStorage.getItem('tandem-theme') || 'auto'; } catch (_) { /* as the system */ }
setTheme(theme in THEMES ? theme : 'auto');
$('theme').addEventListener('click', () => { const names = Object.keys(THEMES); setTheme(names[(names.indexOf(document.documentElement.dataset.theme) + 1) % names.length]); });
put($('detail-close'), line('M4 4l8 8M12 4l-8 8'));
$('detail-close').addEventListener('click', () => $('detail').close());
$('detail').addEventListener('click', event => { if (event.target === $('detail')) $('detail').close(); });
put($('grid-head'), COLUMNS.map(([name, words]) => h('div', { class: 'c-' + name + (RIGHT.has(name) ? ' num' : ''), role: 'columnheader' }, words)));
$('grid').addEventListener('keydown', onGridKey);
$('grid').addEventListener('click', onGridClick);
$('rows').addEventListener('focusin', event => { const el = event.target.closest('.row'); if (el) active = Number(el.dataset.at); });
$('unfold').addEventListener('click', () => { for (const one of view.virtual_servers) opened.set(one.name, true); flatten(); drawRows(); });
$('fold').addEventListener('click', () => { for (const one of view.virtual_servers) opened.set(one.name, false); flatten(); drawRows(); });
$('more-instances').addEventListener('click', () => { allInstances = !allInstances; drawInstances(); });
let searching = 0;
$('search').addEventListener('input', () => { clearTimeout(searching); searching = setTimeout(() => { query = $('search').value.trim().toLowerCase(); if (view) { active = null; drawInstances(); drawGrid(); text($('announce'), $('servers-count').textContent); } drawEvents(); }, 120); });
document.addEventListener('keydown', event => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (event.key === '/' && !typing && !event.ctrlKey && !event.metaKey && !$('detail').open) { event.preventDefault(); $('search').focus(); $('search').select(); }
  else if (event.key === 'Escape' && event.target === $('search')) { if ($('search').value) { $('search').value = ''; $('search').dispatchEvent(new Event('input')); } else $('search').blur(); event.preventDefault(); }
});
function measureRow() {
  const height = parseInt(getComputedStyle(document.documentElement).getPropertyValue('--row'), 10) || 36;
  if (height !== rowHeight) { rowHeight = height; if (view) { flatten(); drawRows(); } }
}
measureRow();
let waiting = false;
const later = () => { if (!waiting) { waiting = true; requestAnimationFrame(() => { waiting = false; measureRow(); if (view && rows.length) drawNewRows(); }); } };
addEventListener('scroll', later, { passive: true });
addEventListener('resize', () => { later(); });
document.addEventListener('visibilitychange', () => { if (!document.hidden) plan(Math.max(0, lastBegan + LEAST - performance.now())); });
setInterval(drawBanner, 1000);
poll();
})();
