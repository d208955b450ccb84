'use strict';
(() => {
// ---------------------------------------------------------------- making elements; text is only ever text
const $ = id => document.getElementById(id);
const SVG = 'http://www.w3.org/2000/svg';
function fill(el, attributes, children) {
  for (const name in attributes) {
    const value = attributes[name];
    if (name === 'on') { for (const kind in value) el.addEventListener(kind, value[kind]); }
    else if (value === true) el.setAttribute(name, '');
    else if (value !== null && value !== undefined && value !== false) el.setAttribute(name, value);
  }
  for (const child of children.flat(Infinity)) if (child !== null && child !== undefined && child !== '') el.append(child);
  return el;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes || {}, children);
const s = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes || {}, children);
const GLYPHS = {
  good: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm3.6 5.2-4.3 5a.9.9 0 0 1-1.3.05L4.3 9.6a.9.9 0 1 1 1.25-1.3l1 .95 3.7-4.25a.9.9 0 0 1 1.35 1.2Z',
  bad: 'M5 1h6l4 4v6l-4 4H5l-4-4V5l4-4Zm.6 3.3L4.3 5.6 6.7 8l-2.4 2.4 1.3 1.3L8 9.3l2.4 2.4 1.3-1.3L9.3 8l2.4-2.4-1.3-1.3L8 6.7 5.6 4.3Z',
  warn: 'M8 1.2c.5 0 .9.25 1.1.65l6 11.2c.45.85-.15 1.85-1.1 1.85H2c-.95 0-1.55-1-1.1-1.85l6-11.2c.2-.4.6-.65 1.1-.65ZM7.1 5.4v4.2h1.8V5.4H7.1Zm0 5.6v1.8h1.8V11H7.1Z',
  off: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1ZM4.5 7h7v2h-7V7Z',
  sorry: 'M2 2h12v9H9l-4 4v-4H2V2Zm3 3.2v1.6h6V5.2H5Z',
  fresh: 'M8 1a7 7 0 1 0 0 14A7 7 0 0 0 8 1Zm-.9 3h1.8v4.1l2.6 1.6-.9 1.5L7.1 9V4Z',
};
const glyph = (kind, said) => s('svg', { class: 'glyph s-' + kind, viewBox: '0 0 16 16', 'aria-hidden': said ? null : 'true', role: said ? 'img' : null, 'aria-label': said }, s('path', { d: GLYPHS[kind], 'fill-rule': 'evenodd' }));
const badge = (kind, word) => h('span', { class: 'badge s-' + kind }, glyph(kind), word);
const line = d => s('svg', { viewBox: '0 0 16 16', 'aria-hidden': 'true' }, s('path', { d }));
const put = (el, ...children) => morph(el, children.flat(Infinity).filter(child => child !== null && child !== undefined && child !== '').map(child => child instanceof Node ? child : document.createTextNode(child)));
const keyOf = node => node.dataset ? node.dataset.key : undefined;
/** Makes these the children of an element, and leaves alone what is so already: focus, and what is selected for copying, stay. Of
 * elements with a key the same key is the same thing, wherever it stands now. */
function morph(el, wanted) {
  const held = document.activeElement, keyed = new Map(), kept = new Set(wanted.map(keyOf));
  for (const old of [...el.childNodes]) { const key = keyOf(old); if (key === undefined) continue; if (kept.has(key)) keyed.set(key, old); else old.remove(); }
  let at = el.firstChild;
  for (const next of wanted) {
    const key = keyOf(next), old = key === undefined ? at : keyed.get(key);
    if (!old || old.nodeName !== next.nodeName || keyOf(old) !== key) { el.insertBefore(next, at); continue; }
    keyed.delete(key);
    if (old === at) at = at.nextSibling; else el.insertBefore(old, at);
    if (old.nodeType === Node.TEXT_NODE) { if (old.data !== next.data) old.data = next.data; continue; }
    for (const { name } of [...old.attributes]) if (!next.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of next.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    morph(old, [...next.childNodes]);
  }
  while (at) { const over = at; at = at.nextSibling; over.remove(); }
  if (held && held !== document.activeElement && el.contains(held)) held.focus({ preventScroll: true });
}
const text = (el, words) => { if (el.textContent !== words) el.textContent = words; };

// ---------------------------------------------------------------- numbers and times as people say them
const whole = new Intl.NumberFormat('en');
function short(n, unit) {
  if (n === null || n === undefined) return '–';
  if (n < 10000 && !unit) return whole.format(Math.round(n));
  const steps = unit ? [' B', ' kB', ' MB', ' GB', ' TB', ' PB'] : ['', 'k', 'M', 'G', 'T', 'P'];
  let at = 0;
  while (n >= 999.5 && at < steps.length - 1) { n /= 1000; at += 1; }
  return (at && n < 99.95 ? n.toFixed(1) : Math.round(n)) + steps[at];
}
function span(seconds) {
  if (seconds === null || seconds === undefined || !isFinite(seconds)) return '–';
  if (seconds < 1) return seconds.toFixed(1) + ' s';
  const parts = [[86400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']];
  for (let n = 0; n < parts.length; n++) {
    const [size, unit] = parts[n];
    if (seconds >= size || n === 3) {
      const first = Math.floor(seconds / size), rest = parts[n + 1] ? Math.floor((seconds % size) / parts[n + 1][0]) : 0;
      return first + ' ' + unit + (rest && n < 3 && first < 10 ? ' ' + rest + ' ' + parts[n + 1][1] : '');
    }
  }
}
const clock = at => { const d = new Date(at); return isNaN(d) ? '' : d.toLocaleTimeString([], { hour12: false }); };
const many = (n, one, more) => whole.format(n) + ' ' + (n === 1 ? one : more || one + 's');

// ---------------------------------------------------------------- what is known
let view = null, problems = [], events = [], stale = null, token = null, streaming = false;
let filter = 'all', query = '', active = null, rows = [], rowHeight = 36, shown = new Map(), allInstances = false;
const opened = new Map(), history = new Map(), POINTS = 60, KEPT_EVENTS = 200;
let openByDefault = null;
const measured = { renders: 0, last: 0, worst: 0, total: 0 };
window.tandem = { measured };
try { token = sessionStorage.getItem('tandem-token'); } catch (_) { token = null; }

/** Rates of the last minutes, one block of numbers for each virtual server: its own first, then its real servers'. */
function record(service) {
  const reals = service.real_servers, width = (reals.length + 1) * POINTS;
  let known = history.get(service.name), same = known && known.data.length === width;
  if (same) for (let n = 0; n < reals.length; n++) if (known.names[n] !== reals[n].name) { same = false; break; }
  if (!same) {
    const next = { names: reals.map(real => real.name), data: new Float32Array(width), n: known ? known.n : 0, turn: 0 };
    if (known) {
      const places = new Map(known.names.map((name, n) => [name, n]));
      next.data.set(known.data.subarray(0, POINTS));
      next.names.forEach((name, n) => { const old = places.get(name); if (old !== undefined) next.data.set(known.data.subarray((old + 1) * POINTS, (old + 2) * POINTS), (n + 1) * POINTS); });
    }
    history.set(service.name, known = next);
  }
  const at = known.n % POINTS;
  known.n += 1; known.turn = measured.renders;
  known.data[at] = service.traffic ? service.traffic.connection_rate : 0;
  for (let n = 0; n < reals.length; n++) known.data[(n + 1) * POINTS + at] = reals[n].traffic ? reals[n].traffic.connection_rate : 0;
}
function forget() {
  if (measured.renders % 30 === 0) for (const [name, known] of history) if (known.turn < measured.renders - 5) history.delete(name);
}
const WIDTH = 100, HEIGHT = 24;
function newSpark(label) {
  const area = s('path', { class: 'area' }), curve = s('path', { 'vector-effect': 'non-scaling-stroke' });
  return { svg: s('svg', { class: 'spark', viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label }, area, curve), area, curve };
}
function drawSpark(into, name, index) {
  const known = history.get(name), count = known ? Math.min(known.n, POINTS) : 0, base = (index + 1) * POINTS;
  if (count < 2 || base >= known.data.length) { into.area.removeAttribute('d'); into.curve.removeAttribute('d'); return; }
  const first = known.n - count, step = WIDTH / (POINTS - 1);
  let top = 0;
  for (let n = 0; n < count; n++) top = Math.max(top, known.data[base + (first + n) % POINTS]);
  let path = '', x = WIDTH - (count - 1) * step;
  const left = x, scale = top ? (HEIGHT - 3) / top : 0;
  for (let n = 0; n < count; n++, x += step) path += (n ? 'L' : 'M') + x.toFixed(1) + ' ' + (HEIGHT - 1.5 - known.data[base + (first + n) % POINTS] * scale).toFixed(1);
  into.curve.setAttribute('d', path);
  into.area.setAttribute('d', path + `L${WIDTH} ${HEIGHT}L${left.toFixed(1)} ${HEIGHT}Z`);
}
function sparkOf(name, index, label) { const made = newSpark(label); drawSpark(made, name, index); return made.svg; }

// ---------------------------------------------------------------- how things stand, as kind and word
function standing(real) {
  switch (real.admin_state) {
    case 'drain': return ['warn', 'draining'];
    case 'disabled': return ['off', 'disabled'];
    case 'deleted': return ['off', 'deleted'];
  }
  if (isPlain(real.up)) return { no_checks: ['off', 'no checks'], no_result: ['fresh', 'not checked'], suspended: ['off', 'elsewhere'] }[real.unchecked] || ['fresh', 'not known'];
  if (!real.up) return ['bad', 'down'];
  return real.warning ? ['warn', 'up, warning'] : ['good', 'up'];
}
/** As far as this director looks: with ha_suspend a standby knows what it saw days ago. */
const hasLost = service => !service.quorum_up && service.serving !== 'unknown' && !service.suspended;
function serving(service) {
  if (service.serving === 'unknown') return ['fresh', 'not known'];
  if (service.suspended) return ['off', 'elsewhere'];
  if (service.serving === 'sorry_server') return ['sorry', 'sorry server'];
  if (service.serving === 'sorry_pool') return ['sorry', 'sorry pool'];
  if (!service.quorum_up) return ['bad', 'no quorum'];
  if (service.sums.down) return ['warn', service.sums.down + ' down'];
  return ['good', 'serving'];
}
const STATES = { MASTER: 'good', BACKUP: 'fresh', FAULT: 'bad', INIT: 'off' };
const isProblem = real => (real.admin_state === 'enabled' && real.up === false) || !!real.warning;
const isChanged = real => !!real.override || real.admin_state !== 'enabled';
const isPlain = seen => seen === null || seen === undefined;

/** Sums that several parts need, in one walk over everything. */
function digest(next) {
  const all = { services: 0, quorum: 0, lost: 0, silent: 0, elsewhere: 0, reals: 0, up: 0, down: 0, off: 0, unknown: 0, warned: 0, changed: 0, rate: 0, open: 0, seesOpen: false, seesTraffic: false, bytesIn: 0, bytesOut: 0 };
  const oldest = { at: null };
  for (const service of next.virtual_servers) {
    const sums = { up: 0, down: 0, off: 0, unknown: 0, problems: 0, changed: 0, active: 0, seesActive: false, reason: '' };
    for (const real of service.real_servers) {
      if (real.admin_state !== 'enabled') sums.off += 1;
      else if (isPlain(real.up)) sums.unknown += 1;
      else if (real.up) sums.up += 1;
      else { sums.down += 1; sums.reason = sums.reason || (real.last_failure ? real.last_failure.reason : ''); }
      if (isProblem(real)) sums.problems += 1;
      if (real.warning) all.warned += 1;
      if (isChanged(real)) { sums.changed += 1; if (real.override && real.override.at && (!oldest.at || real.override.at < oldest.at)) oldest.at = real.override.at; }
      if (!isPlain(real.active)) { sums.active += real.active; sums.seesActive = true; }
    }
    service.sums = sums;
    record(service);
    all.services += 1; all.lost += hasLost(service) ? 1 : 0; all.silent += service.serving === 'unknown' ? 1 : 0; all.elsewhere += service.suspended ? 1 : 0; all.quorum += service.quorum_up && service.serving !== 'unknown' && !service.suspended ? 1 : 0; all.reals += service.real_servers.length;
    all.up += sums.up; all.down += sums.down; all.off += sums.off; all.unknown += sums.unknown; all.changed += sums.changed;
    if (sums.seesActive) { all.open += sums.active; all.seesOpen = true; }
    if (service.traffic) {
      all.seesTraffic = true;
      all.rate += service.traffic.connection_rate; all.bytesIn += service.traffic.byte_rate_in; all.bytesOut += service.traffic.byte_rate_out;
    }
  }
  const total = (name, value) => record({ name, real_servers: [], traffic: { connection_rate: value } });
  total('\nrate', all.rate); total('\nbytes', all.bytesIn + all.bytesOut);
  all.oldest = oldest.at;
  next.sums = all;
}

// ---------------------------------------------------------------- tiles
function tile(title, big, small, sub, trend) {
  return h('div', { class: 'tile', 'data-key': title }, h('h3', {}, title), h('p', { class: 'big' }, big, small ? h('small', {}, ' ' + small) : null), h('p', { class: 'sub' }, sub), trend || null);
}
function drawTiles() {
  const { sums, instances } = view, tiles = [];
  if (instances.length) {
    const masters = instances.filter(one => one.state === 'MASTER').length, faults = instances.filter(one => one.state === 'FAULT').length;
    const big = instances.length === 1 ? instances[0].state : whole.format(masters), small = instances.length === 1 ? '' : 'of ' + whole.format(instances.length) + ' master';
    const backups = instances.filter(one => one.state === 'BACKUP').length;
    tiles.push(tile('VRRP', big, small, faults ? h('span', { class: 'bad' }, many(faults, 'instance') + ' in FAULT') : instances.length === 1 ? 'for ' + span(instances[0].in_state) : many(backups, 'backup')));
  }
  if (sums.services) {
    const words = [];
    if (sums.lost) words.push(h('span', { class: 'bad' }, whole.format(sums.lost) + ' without quorum'));
    if (sums.silent) words.push((words.length ? ' · ' : '') + whole.format(sums.silent) + ' not known');
    if (sums.elsewhere) words.push((words.length ? ' · ' : '') + whole.format(sums.elsewhere) + ' not checked here');
    tiles.push(tile('Virtual servers', whole.format(sums.quorum), 'of ' + whole.format(sums.services), words.length ? words : 'all reach their quorum'));
    const parts = [];
    if (sums.down) parts.push(h('span', { class: 'bad' }, whole.format(sums.down) + ' down'));
    if (sums.off) parts.push((parts.length ? ' · ' : '') + whole.format(sums.off) + ' out by hand');
    if (sums.unknown) parts.push((parts.length ? ' · ' : '') + whole.format(sums.unknown) + ' not checked');
    tiles.push(tile('Real servers', whole.format(sums.up), 'of ' + whole.format(sums.reals) + ' up', parts.length ? parts : 'all up'));
    if (sums.seesTraffic) {
      tiles.push(tile('New connections', short(sums.rate), '/s', sums.seesOpen ? short(sums.open) + ' active' : '', sparkOf('\nrate', -1, 'New connections a second, the last minutes')));
      tiles.push(tile('Traffic', short(sums.bytesIn + sums.bytesOut, true), '/s', 'in ' + short(sums.bytesIn, true) + ' · out ' + short(sums.bytesOut, true), sparkOf('\nbytes', -1, 'Bytes a second, the last minutes')));
    }
    tiles.push(tile('Changed by hand', whole.format(sums.changed), sums.changed === 1 ? 'real server' : 'real servers', sums.oldest ? 'oldest ' + span((Date.parse(view.at) - Date.parse(sums.oldest)) / 1000) + ' ago' : sums.changed ? 'by the file' : 'all as the file says'));
  }
  put($('tiles'), tiles);
}

// ---------------------------------------------------------------- what needs attention
function findProblems() {
  const found = [], add = (level, what, why, service) => found.push({ level, what, why, service, key: service ? 'vs ' + service.name : what });
  const { daemon, ipvs } = view;
  if (daemon.reload_problem) add('bad', 'The last reload was refused', daemon.reload_problem + ' The configuration before it is in force.');
  for (const part of daemon.silent) add('bad', 'A part of the daemon does not answer', part);
  if (daemon.maintenance) add('warn', 'Maintenance is on', 'by ' + daemon.maintenance.by + ' at ' + daemon.maintenance.at);
  if (!ipvs.errors.length && ipvs.applied < ipvs.wanted) add('warn', "Changes are not in the kernel's table yet", `It has table ${ipvs.applied}, wanted is table ${ipvs.wanted}.`);
  const { pair } = view;
  if (pair) {
    const who = pair.name ? `${pair.name} (${pair.peer})` : pair.peer;
    if (pair.state === 'differs') {
      const named = pair.differences.slice(0, 3).map(one => `${one.name}: ${one.text}`), rest = pair.differences.length + pair.more_differences - named.length;
      add('warn', 'The other director is configured otherwise', `${who}, for ${span(pair.in_state)}: ${named.join('; ')}` + (rest > 0 ? `; and ${rest} more` : ''));
    } else if (pair.state !== 'agrees' && pair.state !== 'waiting') add('warn', 'The other director is not heard', `${who}, for ${span(pair.in_state)}: ${pair.problem || pair.state}`);
  }
  for (const error of ipvs.errors) add('bad', 'The kernel refuses a change of its table', error);
  for (const one of view.instances) {
    if (one.state === 'FAULT') add('bad', 'VRRP ' + one.name + ' is in FAULT', one.fault || '');
    if (one.order) add('warn', 'VRRP ' + one.name + ': ' + one.order.order.replace('_', ' '), 'by ' + one.order.by + (isPlain(one.order.seconds_left) ? '' : ', ' + span(one.order.seconds_left) + ' left'));
  }
  for (const service of view.virtual_servers) {
    const { sums } = service;
    if (hasLost(service)) add('bad', service.name + ' has lost its quorum', `weight ${service.weight} of ${service.quorum}` + (sums.reason ? '; ' + sums.reason : ''), service);
    else if (sums.down) add('warn', `${service.name}: ${sums.down} of ${service.real_servers.length} real servers down`, sums.reason, service);
  }
  if (view.sums.warned) for (const service of view.virtual_servers) for (const real of service.real_servers) if (real.warning && found.length < 400) found.push({ level: 'warn', what: real.name + ' of ' + service.name, why: real.warning, service, key: 'rs ' + service.name + ' ' + real.name });
  for (const session of view.bfd) if (!session.up) add('warn', 'BFD session ' + session.name + ' is down', isPlain(session.changed_ago) ? '' : 'for ' + span(session.changed_ago));
  found.sort((a, b) => (a.level === 'bad' ? 0 : 1) - (b.level === 'bad' ? 0 : 1));
  problems = found;
}
function drawAttention() {
  const most = innerWidth < 680 ? 3 : 6, panel = $('attention');
  panel.hidden = !problems.length;
  panel.classList.toggle('mild', !problems.some(one => one.level === 'bad'));
  text($('attention-count'), problems.length > most ? String(problems.length) : '');
  const items = problems.slice(0, most).map(one => h('li', { 'data-key': one.key }, glyph(one.level, one.level === 'bad' ? 'failure' : 'warning'),
    h('div', {}, one.service ? h('button', { type: 'button', 'data-reveal': one.service.name }, one.what) : h('span', { class: 'what' }, one.what), h('div', { class: 'why' }, one.why))));
  if (problems.length > most) items.push(h('li', { 'data-key': 'more' }, h('span'), h('button', { type: 'button' }, `and ${problems.length - most} more`)));
  put($('attention-list'), items);
}
$('attention-list').addEventListener('click', event => {
  const button = event.target.closest('button');
  if (!button) return;
  if (button.dataset.reveal !== undefined) { reveal(button.dataset.reveal); return; }
  setFilter('problems'); $('servers').scrollIntoView(); $('servers').focus({ preventScroll: true });
});
function reveal(name) {
  opened.set(name, true); query = ''; $('search').value = ''; setFilter('all');
  const at = rows.findIndex(row => !row.real && row.service.name === name);
  if (at >= 0) focusRow(at);
}

// ---------------------------------------------------------------- VRRP instances
function arithmetic(one) {
  const parts = [h('b', {}, String(one.base_priority))];
  for (const tracker of one.trackers) if (tracker.contribution) {
    const plus = tracker.contribution > 0;
    parts.push(' ', h('span', { class: plus ? 'plus' : 'minus' }, (plus ? '+ ' : '− ') + Math.abs(tracker.contribution)), h('span', { class: 'quiet' }, ` ${tracker.kind} ${tracker.name} ${tracker.value}`));
  }
  const ordered = one.order && one.own_priority !== one.priority, own = ordered ? one.own_priority : one.priority;
  if (parts.length > 1) parts.push(' = ', h('b', {}, String(own)));
  else if (own !== one.base_priority) parts.push(' → ', h('b', {}, String(own)));
  if (ordered) parts.push(' → ', h('b', {}, String(one.priority)), h('span', { class: 'quiet' }, ' by order'));
  return h('dd', { class: 'sum' }, parts);
}
function card(one) {
  const field = (name, ...value) => [h('dt', {}, name), h('dd', {}, value)];
  const addresses = one.addresses.slice(0, 4).map(address => h('span', { class: 'chip mono' }, address));
  if (one.addresses.length > 4) addresses.push(h('span', { class: 'quiet' }, `and ${one.addresses.length - 4} more`));
  const watched = one.trackers.filter(tracker => tracker.value === 'down' && !tracker.contribution).map(tracker => `${tracker.kind} ${tracker.name} is down` + (tracker.why ? ': ' + tracker.why : ''));
  // A backup sends nothing: what a master heard before it was one is no sign of its peer.
  const before = peer => one.state === 'MASTER' && peer.ago > one.down_interval ? ', before this one was master' : '';
  const peers = one.peers.slice(0, 3).map(peer => h('div', {}, h('span', { class: 'mono' }, peer.address), h('span', { class: 'quiet' }, ` priority ${peer.priority}, ${span(peer.ago)} ago${before(peer)}`)));
  if (one.peers.length > 3) peers.push(h('div', { class: 'quiet' }, `and ${one.peers.length - 3} more`));
  return h('article', { class: 'card', 'data-key': one.name },
    h('header', {}, h('h3', {}, one.name), badge(STATES[one.state] || 'off', one.state)),
    h('p', { class: 'where' }, `${one.interface} · VRID ${one.vrid} · VRRPv${one.version}` + (one.group ? ` · group ${one.group}` : '')),
    h('dl', {},
      h('dt', {}, 'Priority'), arithmetic(one),
      one.fault ? field('Fault', h('span', { class: 's-bad' }, one.fault)) : [],
      watched.length && !one.fault ? field('Watches', h('span', { class: 's-bad' }, watched.join('; '))) : [],
      one.order ? field('Order', `${one.order.order.replace('_', ' ')} by ${one.order.by}` + (isPlain(one.order.seconds_left) ? '' : `, ${span(one.order.seconds_left)} left`)) : [],
      addresses.length ? field('Addresses', addresses) : [],
      field('Peers', peers.length ? peers : h('span', { class: 'quiet' }, 'none heard')),
      field('Since', one.last ? [span(one.last.ago) + ' ago ', h('span', { class: 'quiet' }, one.last.why + (one.last.cause === 'resumed' && one.master_since ? `; MASTER since ${one.master_since}` : ''))] : [span(one.in_state), h('span', { class: 'quiet' }, ' no transition since the start')])));
}
function matches(one) {
  return !query || [one.name, one.interface, one.state, one.group || '', one.fault || '', String(one.vrid), ...one.addresses, ...one.peers.map(peer => peer.address)].some(words => words.toLowerCase().includes(query));
}
const MOST_CARDS = 300;
function drawInstances() {
  const all = view.instances.filter(matches), few = 6;
  $('vrrp').hidden = !all.length;
  text($('vrrp-count'), view.instances.length > 1 ? String(all.length) : '');
  const order = all.length > few ? all.slice().sort((a, b) => (b.state === 'FAULT') - (a.state === 'FAULT')) : all;
  put($('instances'), order.slice(0, allInstances ? MOST_CARDS : few).map(card));
  const more = $('more-instances');
  more.hidden = all.length <= few;
  text(more, allInstances ? 'Show fewer' : all.length > MOST_CARDS ? `Show ${MOST_CARDS} of ${all.length} instances; the search finds the others` : `Show all ${all.length} instances`);
}

// ---------------------------------------------------------------- virtual and real servers: only rows in sight exist
const COLUMNS = [['name', 'Server'], ['state', 'State'], ['weight', 'Weight'], ['conn', 'Active'], ['rate', 'New/s'], ['in', 'In/s'], ['out', 'Out/s'], ['trend', 'Trend'], ['note', 'Remarks']];
const RIGHT = new Set(['weight', 'conn', 'rate', 'in', 'out']);
const isOpen = service => opened.has(service.name) ? opened.get(service.name) : openByDefault;
const indices = service => Array.from(service.real_servers.keys());
function lookUp(service) {
  if (!query && filter === 'all') return null;
  const all = !query || service.name.toLowerCase().includes(query);
  return indices(service).filter(at => {
    const real = service.real_servers[at];
    if (filter === 'problems' && !isProblem(real)) return false;
    if (filter === 'changed' && !isChanged(real)) return false;
    return all || real.name.includes(query) || (real.last_failure && real.last_failure.reason.toLowerCase().includes(query)) || (real.override && (real.override.change + ' ' + (real.override.by || '')).toLowerCase().includes(query));
  });
}
function flatten() {
  const keep = active === null ? null : rows[active], flat = [];
  let reals = 0;
  for (const service of view.virtual_servers) {
    const found = lookUp(service);
    const lost = filter === 'problems' && !query && hasLost(service);
    if (found && !found.length && !lost) continue;
    flat.push({ service, real: null });
    reals += found ? found.length : service.real_servers.length;
    if (isOpen(service) || (found && !opened.has(service.name))) for (const index of found || indices(service)) flat.push({ service, real: service.real_servers[index], index });
  }
  rows = flat;
  if (keep) {
    const was = active, what = whatOf(keep);
    active = rows.findIndex(row => whatOf(row) === what);
    if (active < 0) {
      active = rows.length ? Math.min(was, rows.length - 1) : null;
      if (inRows()) text($('announce'), `${keep.real ? keep.real.name : keep.service.name} is not shown any more`);
    }
  }
  $('grid').setAttribute('aria-rowcount', String(rows.length + 1));
  $('rows').style.height = rows.length * rowHeight + 'px';
  const none = !rows.length;
  $('empty').hidden = !none;
  if (none) text($('empty'), query ? `Nothing matches “${query}”.` : 'None of the real servers.');
  const services = view.virtual_servers.length;
  text($('servers-count'), query || filter !== 'all' ? `${whole.format(reals)} of ${whole.format(view.sums.reals)} real servers` : `${whole.format(services)}, with ${whole.format(reals)} real servers`);
}
const whatOf = row => (row.real ? 'r' : 'v') + row.service.name + '\n' + (row.real ? row.real.name : '');
const inRows = () => !!document.activeElement && document.activeElement.parentNode === $('rows');
function newRow() {
  const el = h('div', { class: 'row', role: 'row' }), cells = {};
  for (const [name] of COLUMNS) { cells[name] = h('div', { class: 'c-' + name + (RIGHT.has(name) ? ' num' : '') + (name === 'name' ? ' name' : '') + (name === 'note' ? ' note' : ''), role: name === 'name' ? 'rowheader' : 'gridcell' }); el.append(cells[name]); }
  const trend = newSpark('New connections a second, the last minutes');
  cells.trend.append(trend.svg);
  return { el, cells, what: '', spark: trend };
}
function drawRow(slot, at) {
  const { service, real } = rows[at], { el, cells } = slot, traffic = (real || service).traffic;
  el.style.transform = `translateY(${at * rowHeight}px)`;
  el.setAttribute('aria-rowindex', String(at + 2));
  el.tabIndex = at === (active === null ? 0 : active) ? 0 : -1;
  el.dataset.at = at;
  text(cells.rate, traffic ? short(traffic.connection_rate) : '–');
  text(cells.in, traffic ? short(traffic.byte_rate_in, true) : '–');
  text(cells.out, traffic ? short(traffic.byte_rate_out, true) : '–');
  const what = whatOf(rows[at]);
  if (slot.what !== what) {
    slot.what = what;
    el.className = 'row ' + (real ? 'rs' : 'vs');
    el.setAttribute('aria-level', real ? '2' : '1');
    if (real) { put(cells.name, h('span', { class: 'mono' }, real.name)); el.removeAttribute('aria-expanded'); }
    else put(cells.name, h('span', { class: 'twist', 'aria-hidden': 'true' }, s('svg', { viewBox: '0 0 10 10' }, s('path', { d: 'M2 0l6 5-6 5z' }))), service.name);
    cells.name.title = real ? real.name : service.name;
    slot.state = slot.note = null;
  }
  slot.spark.svg.style.display = traffic ? '' : 'none';
  if (traffic) drawSpark(slot.spark, service.name, real ? rows[at].index : -1);
  const [kind, word] = real ? standing(real) : serving(service);
  const state = kind + word;
  if (slot.state !== state) { slot.state = state; put(cells.state, badge(kind, word)); }
  let note;
  if (real) {
    const configured = real.weight_configured;
    text(cells.weight, isPlain(configured) || configured === real.weight ? String(real.weight) : `${real.weight} of ${configured}`);
    text(cells.conn, short(isPlain(real.active) ? real.connections : real.active));
    const failed = real.last_failure && !real.unchecked && (real.up === false || real.admin_state !== 'enabled') ? real.last_failure.reason : '';
    note = (real.override ? `${real.override.change}${real.override.by ? ' by ' + real.override.by.split('(')[0] : ''}` : '') + (real.override && (failed || real.warning) ? ' · ' : '') + (real.warning || failed);
    if (real.up === false && !isPlain(real.changed_ago) && real.admin_state === 'enabled') note += ` (for ${span(real.changed_ago)})`;
    if (slot.note !== note) { slot.note = note; text(cells.note, note); cells.note.title = note; }
  } else {
    const { sums } = service, open = isOpen(service) || ((query || filter !== 'all') && !opened.has(service.name));
    if (el.getAttribute('aria-expanded') !== String(!!open)) el.setAttribute('aria-expanded', String(!!open));
    text(cells.weight, String(service.weight));
    text(cells.conn, sums.seesActive ? short(sums.active) : '–');
    note = [sums.up, sums.down, sums.off, sums.unknown, service.draining.length, service.active_on || '', service.suspended].join();
    if (slot.note !== note) { slot.note = note; drawSums(cells.note, service); }
  }
}
function drawSums(cell, service) {
  const { sums } = service, total = service.real_servers.length || 1, parts = [];
  let x = 0;
  for (const [kind, count] of [['good', sums.up], ['warn', sums.off], ['off', sums.unknown], ['bad', sums.down]]) if (count) { parts.push(s('rect', { class: 'm-' + kind, x: x / total * 72, y: 0, width: count / total * 72, height: 8 })); x += count; }
  const words = (service.suspended ? 'not checked here: its address is elsewhere' : `${sums.up} of ${service.real_servers.length} up`) + (sums.off ? `, ${sums.off} out` : '') + (service.draining.length ? `, ${service.draining.length} leaving` : '') + (service.active_on ? `, with ${service.active_on}` : '');
  put(cell, h('span', { class: 'meter', 'aria-hidden': 'true' }, s('svg', { viewBox: '0 0 72 8', preserveAspectRatio: 'none' }, parts)), words);
  cell.title = words;
}
const spare = [];
/** The rows in sight and a few beyond, and the one with the focus wherever it is; from the top down. */
function inSight(focused) {
  const top = $('rows').getBoundingClientRect().top, beyond = 6 * rowHeight, all = [];
  const first = Math.max(0, Math.floor((-top - beyond) / rowHeight)), last = Math.min(rows.length, Math.ceil((innerHeight - top + beyond) / rowHeight));
  for (let at = first; at < last; at++) all.push(at);
  if (focused !== null && focused < rows.length && (focused < first || focused >= last)) { if (focused < first) all.unshift(focused); else all.push(focused); }
  return all;
}
/** Draws these rows. An element stays with its server, so the focus does, too; who reads the document hears them in their order. */
function drawThese(all, drawn) {
  const holder = $('rows'), next = new Map(all.map(at => [at, drawn.get(at)])), used = new Set(next.values());
  for (const slot of shown.values()) if (!used.has(slot)) { slot.el.remove(); if (spare.length < 80) spare.push(slot); }
  shown = new Map();
  let below = null;
  for (let n = all.length - 1; n >= 0; n--) {
    const at = all[n], slot = next.get(at) || spare.pop() || newRow(), is = !!next.get(at);
    shown.set(at, slot);
    if (!is || slot.at !== at || slot.turn !== turn) drawRow(slot, at);
    slot.at = at; slot.turn = turn;
    if (!is || slot.el.parentNode !== holder) holder.insertBefore(slot.el, below);
    below = slot.el;
  }
}
let turn = 0;
function drawRows() {
  const had = inRows(), all = inSight(had ? active : null), places = new Map();
  for (const slot of shown.values()) places.set(slot.what, slot);
  turn += 1;
  drawThese(all, new Map(all.map(at => [at, places.get(whatOf(rows[at]))])));
  const slot = had && active !== null ? shown.get(active) : null;
  if (slot && document.activeElement !== slot.el) slot.el.focus({ preventScroll: true });
}
/** Rows that are new in sight; those that are there are right already. */
function drawNewRows() {
  drawThese(inSight(inRows() ? active : null), shown);
}
function drawGrid() {
  $('servers').hidden = !view.virtual_servers.length;
  if (openByDefault === null) openByDefault = view.sums.reals <= 60;
  flatten();
  drawFilters();
  drawRows();
}
function drawFilters() {
  const { sums } = view, choices = [['all', 'All'], ['problems', 'Problems ' + whole.format(view.virtual_servers.reduce((n, one) => n + one.sums.problems, 0))], ['changed', 'Changed by hand ' + whole.format(sums.changed)]];
  const box = $('filters');
  if (!box.children.length) for (const [name] of choices) box.append(h('button', { type: 'button', 'data-filter': name, on: { click: () => setFilter(name) } }));
  choices.forEach(([name, words], n) => { text(box.children[n], words); box.children[n].setAttribute('aria-pressed', String(filter === name)); });
}
function setFilter(name) { filter = name; if (view) { drawGrid(); } }
function toggle(at, to) {
  const row = rows[at];
  if (!row) return;
  const now = isOpen(row.service) || ((query || filter !== 'all') && !opened.has(row.service.name));
  opened.set(row.service.name, to === undefined ? !now : to);
  flatten(); drawRows();
}
function focusRow(at) {
  active = Math.max(0, Math.min(rows.length - 1, at));
  const holder = $('rows'), y = holder.getBoundingClientRect().top + active * rowHeight, bar = 70;
  if (y < bar) scrollBy(0, y - bar);
  else if (y + rowHeight > innerHeight) scrollBy(0, y + rowHeight - innerHeight + 8);
  drawRows();
  const slot = shown.get(active);
  if (slot) slot.el.focus({ preventScroll: true });
}
function onGridKey(event) {
  const at = active === null ? 0 : active, row = rows[at], page = Math.max(1, Math.floor(innerHeight / rowHeight) - 3);
  const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
  if (event.altKey || event.ctrlKey || event.metaKey || !row) return;
  if (event.key in moves) focusRow(at + moves[event.key]);
  else if (event.key === 'ArrowRight') { if (row.real) return; toggle(at, true); focusRow(at); }
  else if (event.key === 'ArrowLeft') { if (row.real) { let n = at; while (n > 0 && rows[n].real) n -= 1; focusRow(n); } else { toggle(at, false); focusRow(at); } }
  else if (event.key === 'Enter' || event.key === ' ') { if (row.real || event.key === 'Enter') showDetail(row); else toggle(at); }
  else return;
  event.preventDefault();
}
function onGridClick(event) {
  const el = event.target.closest('.rows .row');
  if (!el) return;
  const at = Number(el.dataset.at);
  active = at;
  if (rows[at].real) showDetail(rows[at]); else { toggle(at); focusRow(at); }
}

// ---------------------------------------------------------------- details of one server
function showDetail({ service, real }) {
  const pairs = [], add = (name, value) => { if (!isPlain(value) && value !== '') pairs.push(h('dt', {}, name), h('dd', {}, value)); };
  const of = real || service, traffic = of.traffic;
  text($('detail-title'), real ? real.name : service.name);
  if (real) {
    add('State', badge(...standing(real)));
    add('Virtual server', service.name);
    add('Since', isPlain(real.changed_ago) ? 'the start' : span(real.changed_ago));
    add('Checks', { no_checks: 'it has none', no_result: 'none has ended yet', suspended: 'do not run here: the address of its virtual server is not on this director (ha_suspend)' }[real.unchecked]);
    add('Weight', `${real.weight}` + (isPlain(real.weight_configured) ? ', not in the file' : `, the file says ${real.weight_configured}`));
    add('Last failure', real.last_failure ? `${real.last_failure.reason} (${span(real.last_failure.ago)} ago)` : 'none');
    add('Warning', real.warning);
    add('Certificate ends', real.certificate_ends && real.certificate_ends.replace('T', ' ').replace('.000Z', ' UTC'));
    if (real.override) {
      add('Changed', real.override.change + (real.override.persisted ? ' (written in a file)' : ''));
      add('By', real.override.by); add('At', real.override.at); add('Until', real.override.until); add('Without effect', real.override.without_effect);
    }
    (real.checkers || []).forEach(one => add(one.kind, (isPlain(one.up) ? 'no result yet' : one.up ? 'up' : 'down') + (isPlain(one.took) ? '' : `, took ${one.took < 1 ? (one.took * 1000).toFixed(1) + ' ms' : one.took.toFixed(2) + ' s'}`) + (one.shared_by > 1 ? `, for ${one.shared_by} checkers` : '')));
    add('Connections', isPlain(real.connections) ? null : whole.format(real.connections) + (isPlain(real.active) ? '' : `, ${whole.format(real.active)} active`));
  } else {
    add('State', badge(...serving(service)));
    add('Quorum', `weight ${service.weight}, ${service.quorum} asked for`);
    add('Serving', service.serving.replace('_', ' '));
    if (service.suspended) add('Checks', 'do not run here: its address is not on this director (ha_suspend). Quorum and weights are from when it last was');
    add('Goes with', service.active_on);
    for (const one of service.draining) add('Leaving', `${one.name}, ${span(one.seconds_left)} at most` + (isPlain(one.connections) ? '' : `, ${many(one.connections, 'connection')}`));
  }
  if (traffic) {
    add('Since its start', `${whole.format(traffic.connections)} connections, ${short(traffic.bytes_in, true)} in, ${short(traffic.bytes_out, true)} out`);
    add('Now', `${whole.format(traffic.connection_rate)} connections/s, ${whole.format(traffic.packet_rate_in)} packets/s in, ${whole.format(traffic.packet_rate_out)} out`);
  }
  put($('detail-body'), h('dl', {}, pairs));
  if (!$('detail').open) $('detail').showModal();
}

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
