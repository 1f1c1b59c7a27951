/**
 * Draws the house: `./dev floors` writes docs/floors.svg from the floors in .dependency-cruiser.cjs and the imports that
 * dependency-cruiser sees between rooms. Every arrow goes down; one that went up would be red, and `./dev lint` fails then.
 * `./dev floors --check` fails when the picture is not that of the sources.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..');
const picture = join(root, 'docs', 'floors.svg');

export interface Arrow {
  readonly from: string;
  readonly to: string;
}

export interface House {
  /** From the ground up; rooms of one floor never import each other. */
  readonly floors: readonly (readonly string[])[];
  readonly arrows: readonly Arrow[];
}

interface Cruised {
  readonly modules: readonly {
    readonly source: string;
    readonly dependencies: readonly { readonly resolved: string }[];
  }[];
}

/** `src/host/linux/files.ts` stands in `host`, `src/errors.ts` in `errors`. */
function roomOf(path: string): string | undefined {
  const [, place] = /^src\/([^/]+)/.exec(path) ?? [];
  return place?.replace(/\.ts$/, '');
}

function readHouse(): House {
  const { floors } = createRequire(import.meta.url)('../.dependency-cruiser.cjs') as {
    floors: readonly (readonly string[])[];
  };
  const program = join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs');
  const { stdout, error } = spawnSync(
    process.execPath,
    [program, '--config', '.dependency-cruiser.cjs', '--output-type', 'json', '--exclude', '\\.test\\.ts$', 'src'],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 },
  );
  if (error) throw error;
  const arrows = new Map<string, Arrow>();
  for (const { source, dependencies } of (JSON.parse(stdout) as Cruised).modules) {
    const from = roomOf(source);
    for (const { resolved } of dependencies) {
      const to = roomOf(resolved);
      if (from === undefined || to === undefined || from === to) continue;
      arrows.set(`${from} ${to}`, { from, to });
    }
  }
  const present = new Set([...arrows.values()].flatMap(({ from, to }) => [from, to]));
  return {
    floors: floors
      .map((rooms) => rooms.map((room) => room.replace(/\.ts$/, '')).filter((room) => present.has(room)))
      .filter((rooms) => rooms.length > 0),
    arrows: [...arrows.values()].sort((a, b) => (`${a.from} ${a.to}` < `${b.from} ${b.to}` ? -1 : 1)),
  };
}

const floorHeight = 46;
const room = { width: 118, height: 28 };
const width = 860;

/** Rooms as boxes, the ground floor below; imports as arcs to the right. Numbers would make it another with every import. */
export function drawHouse({ floors, arrows }: House): string {
  const height = floors.length * floorHeight + 20;
  const places = new Map<string, { x: number; y: number; floor: number }>();
  for (const [floor, rooms] of floors.entries()) {
    for (const [at, name] of rooms.entries())
      places.set(name, { x: 20 + at * (room.width + 8), y: height - (floor + 1) * floorHeight, floor });
  }
  const lines: string[] = [];
  for (const { from, to } of arrows) {
    const [a, b] = [places.get(from), places.get(to)];
    if (!a || !b) continue;
    const upward = b.floor >= a.floor;
    const [x1, y1] = [a.x + room.width / 2, a.y + room.height];
    const [x2, y2] = [b.x + room.width / 2, b.y];
    const bend = Math.min(width - 30, Math.max(x1, x2) + 24 + Math.abs(a.floor - b.floor) * 14);
    lines.push(
      `<path d="M${x1} ${y1} C${bend} ${y1 + 10} ${bend} ${y2 - 10} ${x2} ${y2}" fill="none" stroke="${upward ? '#c00' : '#59c'}" stroke-opacity="${upward ? 1 : 0.35}" stroke-width="1.4"><title>${from} imports ${to}</title></path>`,
    );
  }
  const boxes = [...places].map(
    ([name, { x, y }]) =>
      `<rect x="${x}" y="${y}" width="${room.width}" height="${room.height}" rx="4" fill="#fff" stroke="#345"/><text x="${x + room.width / 2}" y="${y + 19}" text-anchor="middle">${name}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="14">`,
    `<rect width="${width}" height="${height}" fill="#fafafa"/>`,
    ...lines,
    ...boxes,
    '</svg>',
    '',
  ].join('\n');
}

/** Rooms below import none above. */
export function upward({ floors, arrows }: House): readonly Arrow[] {
  const floorOf = new Map(floors.flatMap((rooms, floor) => rooms.map((name) => [name, floor] as const)));
  return arrows.filter(({ from, to }) => (floorOf.get(to) ?? 0) >= (floorOf.get(from) ?? 0));
}

if (import.meta.main) {
  const house = readHouse();
  const drawn = drawHouse(house);
  for (const { from, to } of upward(house)) console.error(`${from} imports ${to}, which stands above it`);
  if (process.argv.includes('--check')) {
    if (readFileSync(picture, 'utf8') !== drawn) {
      console.error('docs/floors.svg is not that of the sources: run ./dev floors');
      process.exitCode = 1;
    }
  } else {
    writeFileSync(picture, drawn);
  }
  if (upward(house).length > 0) process.exitCode = 1;
  else console.log(`${house.floors.length} floors, ${house.arrows.length} arrows, none upward`);
}
