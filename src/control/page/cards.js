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

