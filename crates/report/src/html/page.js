'use strict';
(() => {
  const all = (query, root = document) => Array.from(root.querySelectorAll(query));
  const made = (name, properties = {}) => Object.assign(document.createElement(name), properties);
  const FEW_ROWS = 6;
  const SHOWN_LINES = 3000;

  // Tables: sorted by a column's numbers, or its words where it has none, and filtered by words.
  const sortValue = (row, column) => {
    const cell = row.cells[column];
    const number = cell.dataset.value;
    return number === undefined ? cell.textContent : Number(number);
  };
  const compared = (a, b) => {
    const areNumbers = typeof a === 'number' && typeof b === 'number';
    if (areNumbers) return a - b;
    if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
    return a.localeCompare(b, 'en', { numeric: true });
  };
  const makeSortable = (table) => {
    const rows = Array.from(table.tBodies[0].rows);
    const headers = Array.from(table.tHead.rows[0].cells);
    headers.forEach((header, column) => {
      const button = made('button', { type: 'button', title: header.title });
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener('click', () => {
        const before = header.getAttribute('aria-sort');
        const order = { ascending: 'descending', descending: 'none' }[before] ?? 'ascending';
        headers.forEach((other) => other.removeAttribute('aria-sort'));
        const sorted = rows.slice();
        if (order !== 'none') {
          header.setAttribute('aria-sort', order);
          sorted.sort((a, b) => compared(sortValue(a, column), sortValue(b, column)));
          if (order === 'descending') sorted.reverse();
        }
        table.tBodies[0].append(...sorted);
      });
    });
  };
  const makeFilterable = (data, table) => {
    const rows = Array.from(table.tBodies[0].rows);
    if (rows.length < FEW_ROWS) return;
    const caption = table.caption.textContent;
    const input = made('input', { type: 'search', placeholder: 'filter rows', autocomplete: 'off' });
    input.setAttribute('aria-label', `Filter the rows of ${caption}`);
    const count = made('output', { textContent: `${rows.length} rows` });
    input.addEventListener('input', () => {
      const words = input.value.toLowerCase().split(/\s+/).filter((word) => word);
      let shown = 0;
      for (const row of rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
        if (!row.hidden) shown += 1;
      }
      count.textContent = shown === rows.length ? `${rows.length} rows` : `${shown} of ${rows.length} rows`;
    });
    data.querySelector('.beneath').prepend(input, count);
  };
  for (const data of all('.data')) {
    const table = data.querySelector('table');
    makeSortable(table);
    makeFilterable(data, table);
  }

  // Samples: as CSV, those of one rung or all.
  const source = document.getElementById('samples');
  let parsed;
  const read = () => {
    parsed ??= JSON.parse(source.textContent);
    return parsed;
  };
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const linesOf = (rung) => {
    const { columns, words, groups } = read();
    const lines = [columns.join(',')];
    for (const [named, numbers, values] of groups) {
      if (rung !== '' && words[named[0]] !== rung) continue;
      const common = named.map((place) => quoted(words[place])).concat(numbers.slice(0, 5)).join(',');
      values.forEach((value, at) => {
        const shown = Array.isArray(value) ? quoted(words[value[0]]) : value;
        lines.push(`${common},${numbers[5] + at},${shown}`);
      });
    }
    return lines;
  };
  for (const details of source ? all('details.samples') : []) {
    details.hidden = false;
    details.addEventListener('toggle', () => {
      if (!details.open || details.dataset.filled) return;
      details.dataset.filled = 'yes';
      const lines = linesOf(details.dataset.rung);
      const blob = new Blob([lines.join('\n'), '\n'], { type: 'text/csv' });
      const link = made('a', { href: URL.createObjectURL(blob), textContent: `CSV, ${lines.length - 1} samples` });
      link.download = details.dataset.file;
      const text = made('textarea', { readOnly: true, rows: 12, value: lines.slice(0, SHOWN_LINES + 1).join('\n') });
      text.setAttribute('aria-label', 'Samples as CSV');
      text.spellcheck = false;
      const note = lines.length > SHOWN_LINES + 1 ? ` (below the first ${SHOWN_LINES})` : '';
      const line = made('p');
      line.append(link, note);
      details.append(line, text);
    });
  }

  // On paper nothing can be opened: what columns mean is printed, and all rows that are shown.
  let opened = [];
  window.addEventListener('beforeprint', () => {
    opened = all('details.legend:not([open]), details.facts:not([open])');
    opened.forEach((details) => { details.open = true; });
  });
  window.addEventListener('afterprint', () => {
    opened.forEach((details) => { details.open = false; });
  });
  document.documentElement.dataset.ready = 'yes';
})();
