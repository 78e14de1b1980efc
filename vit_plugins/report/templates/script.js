'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const make = (name, text, kind) => {
    const node = document.createElement(name);
    if (text) node.textContent = text;
    if (kind) node.className = kind;
    return node;
  };

  // Photos of a cell of a confusion matrix.
  const percent = (thousandths) => `${(thousandths / 10).toFixed(thousandths > 990 ? 1 : 0)}\u00a0%`;

  const photo = (row, classes) => {
    const [number, label, named, ofLabel, ofNamed] = row;
    const [name, address, width, height] = data.images[number];
    const words = label === named
      ? [`${classes[label]}: ${percent(ofLabel)}`]
      : [`label ${classes[label]}: ${percent(ofLabel)}`, `named ${classes[named]}: ${percent(ofNamed)}`];
    const figure = make('figure', '', 'photo');
    const frame = make('span', '', 'frame');
    const image = make('img');
    Object.assign(image, { src: address, width, height, alt: `${name}: ${words.join(', ')}` });
    if (width <= 48) image.className = 'pixels';
    frame.append(image);
    const caption = make('figcaption');
    caption.append(...words.map((word) => make('span', word)), make('small', name));
    figure.append(frame, caption);
    return figure;
  };

  const open = (button) => {
    const run = Number(button.closest('[data-run]').dataset.run);
    const panel = document.getElementById(`run-${run}-opened`);
    const classes = data.classes[run];
    const label = Number(button.dataset.label);
    const named = Number(button.dataset.named);
    const rows = data.runs[run].filter((row) => row[1] === label && row[2] === named);
    const shown = rows.filter((row) => row[0] >= 0);
    const left = rows.length - shown.length;
    const answer = label === named ? 'named rightly' : `named ${classes[named]}`;
    panel.querySelector('h4').textContent = `${rows.length} of ${classes[label]} ${answer}`
      + (left ? ` (${left} of them are not shown, to keep the page small)` : '');
    panel.querySelector('.photos').replaceChildren(...shown.map((row) => photo(row, classes)));
    for (const other of button.closest('[data-run]').querySelectorAll('button')) {
      other.setAttribute('aria-pressed', String(other === button));
    }
  };

  // One stop of Tab for a matrix; arrow keys go to the next number in their direction.
  const STEPS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

  const neighbour = (button, [down, right]) => {
    const table = button.closest('table').tBodies[0];
    const cell = button.closest('td');
    let row = cell.parentNode.sectionRowIndex + down;
    let column = cell.cellIndex + right;
    while (table.rows[row]?.cells[column]) {
      const found = table.rows[row].cells[column].querySelector('button');
      if (found) return found;
      row += down;
      column += right;
    }
    return null;
  };

  for (const group of document.querySelectorAll('.matrix, .pairs')) {
    const buttons = [...group.querySelectorAll('button')];
    const roving = group.matches('.matrix');
    const wrong = buttons.filter((button) => button.dataset.label !== button.dataset.named);
    const count = (button) => Number(button.textContent.match(/\d+$/)[0]);
    const first = wrong.sort((a, b) => count(b) - count(a))[0] || buttons[0];
    for (const button of buttons) {
      if (roving) button.tabIndex = button === first ? 0 : -1;
      button.addEventListener('click', () => open(button));
    }
    if (first) open(first);
    group.addEventListener('keydown', (event) => {
      const next = roving && STEPS[event.key] && event.target.matches('button')
        && neighbour(event.target, STEPS[event.key]);
      if (!next) return;
      event.preventDefault();
      event.target.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  }

  // Values below the pointer.
  const NS = 'http://www.w3.org/2000/svg';

  for (const chart of document.querySelectorAll('.chart')) {
    const svg = chart.querySelector('svg');
    const pointer = svg.querySelector('.pointer');
    const at = chart.querySelector('.at');
    const entries = [...chart.querySelectorAll('[data-points]')].map((node) => ({
      points: JSON.parse(node.dataset.points),
      value: node.querySelector('b'),
      colour: node.querySelector('path').getAttribute('class').split(' ')[0],
    }));
    const [left, right, top, bottom] = JSON.parse(svg.dataset.box);
    const xRange = JSON.parse(svg.dataset.xRange);
    const yRange = JSON.parse(svg.dataset.yRange);
    const across = (x) => left + ((x - xRange[0]) / (xRange[1] - xRange[0])) * (right - left);
    const up = (y) => bottom + ((y - yRange[0]) / (yRange[1] - yRange[0])) * (top - bottom);
    const xs = [...new Set(entries.flatMap((entry) => entry.points.map((p) => p[0])))].sort((a, b) => a - b);
    let place = xs.length - 1;
    const number = (value) => String(Number(value.toPrecision(4)));

    const show = (index) => {
      place = Math.min(Math.max(index, 0), xs.length - 1);
      const x = xs[place];
      const rule = document.createElementNS(NS, 'line');
      for (const [key, value] of Object.entries({ x1: across(x), x2: across(x), y1: top, y2: bottom, class: 'rule' })) {
        rule.setAttribute(key, value);
      }
      pointer.replaceChildren(rule);
      for (const entry of entries) {
        const found = entry.points.find((point) => point[0] === x);
        entry.value.textContent = found ? number(found[1]) : '–';
        if (!found) continue;
        const dot = document.createElementNS(NS, 'circle');
        for (const [key, value] of Object.entries({ cx: across(x), cy: up(found[1]), r: 4, class: entry.colour })) {
          dot.setAttribute(key, value);
        }
        pointer.append(dot);
      }
      pointer.removeAttribute('hidden');
      at.textContent = `at ${chart.dataset.unit} ${x}`;
    };

    const reset = () => {
      pointer.replaceChildren();
      place = xs.length - 1;
      for (const entry of entries) entry.value.textContent = number(entry.points.at(-1)[1]);
      at.textContent = `last ${chart.dataset.unit}`;
    };

    svg.addEventListener('pointermove', (event) => {
      const box = svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
      const distance = xs.map((value) => Math.abs(across(value) - x));
      show(distance.indexOf(Math.min(...distance)));
    });
    svg.addEventListener('pointerleave', reset);
    svg.addEventListener('blur', reset);
    svg.addEventListener('keydown', (event) => {
      if (event.key !== 'ArrowLeft' && event.key !== 'ArrowRight') return;
      event.preventDefault();
      show(place + (event.key === 'ArrowRight' ? 1 : -1));
    });
  }
})();
