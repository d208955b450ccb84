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

