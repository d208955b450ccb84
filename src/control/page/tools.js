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

