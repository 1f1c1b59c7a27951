/** Hand-made boot results for tests. */
import type { BootResult, MilestoneName, ResultStep } from '../../src/telemetry/result.ts';

export function step(id: string, time: readonly [number, number], about: Partial<ResultStep> = {}): ResultStep {
  return {
    id,
    resource: id.split(' ')[1] ?? id,
    phase: 'goal',
    status: 'done',
    startMs: time[0],
    endMs: time[1],
    needs: [],
    details: [],
    ...about,
  };
}

export function milestones(times: Partial<Record<MilestoneName, number>>): BootResult['milestones'] {
  const names = Object.keys(times) as MilestoneName[];
  return names.map((name) => ({ name, atMs: times[name] ?? 0 }));
}

/** A good boot: PID 1 at 1000 ms, kubelet healthy at 2700 ms. */
export function bootResult(about: Partial<BootResult> = {}): BootResult {
  return {
    apiVersion: 'nodekiln.dev/v1alpha1',
    kind: 'BootResult',
    nodekilnVersion: '0.1.0',
    bootId: '0e1f',
    unit: 'nodekiln-boot.service',
    outcome: 'converged',
    unchanged: false,
    generation: 1,
    finishedAt: '2026-01-02T03:04:05.678Z',
    milestones: milestones({
      kernel: 0,
      userspace: 1000,
      process: 1400,
      config: 1460,
      planned: 1500,
      'kubelet-queued': 1620,
      'runtime-ready': 1900,
      'kubelet-started': 1920,
      healthz: 2700,
      'deferred-done': 2900,
    }),
    spans: [
      { name: 'start of our process', startMs: 1400, endMs: 1440 },
      { name: 'read documents', startMs: 1440, endMs: 1450 },
      { name: 'observe facts', startMs: 1440, endMs: 1460 },
      { name: 'observe and plan', startMs: 1460, endMs: 1500 },
    ],
    steps: [
      step('write file:/etc/a', [1510, 1540]),
      step('write file:/etc/b', [1510, 1540]),
      step('activate binary:kubelet', [1510, 1530]),
      step('daemon-reload', [1545, 1600], { needs: ['write file:/etc/a'] }),
      step('start unit:containerd.service', [1600, 1605], { needs: ['daemon-reload'] }),
      step('start unit:kubelet.service', [1610, 1620], {
        needs: ['activate binary:kubelet', 'start unit:containerd.service'],
      }),
      step('ready unit:containerd.service', [1605, 1900], { needs: ['start unit:containerd.service'] }),
      step('ready unit:kubelet.service', [1620, 2700], { needs: ['start unit:kubelet.service'] }),
      step('enable unit:kubelet.service', [2701, 2710], { phase: 'deferred' }),
      step('import image:pause', [2701, 2900], { phase: 'deferred' }),
    ],
    warnings: [],
    ...about,
  };
}
