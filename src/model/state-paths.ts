/** Where our own state lies on a host (design: pinned). Paths as seen inside the host. */
export const stateFolder = '/var/lib/nodekiln';
export const databaseName = 'state.db';
export const generationsFolder = `${stateFolder}/generations`;
export const originalsFolder = `${stateFolder}/originals`;
/** Of what did not come to its end, and is gone on with. */
export const downloadsFolder = `${stateFolder}/downloads`;
export const bootResultPath = `${stateFolder}/boot/result.json`;
/** Of a run that did nothing since, beside the record of the boot that did the work. */
export const lastResultPath = `${stateFolder}/boot/last.json`;
/** What the agent keeps for itself: who it is in its cluster. 0700. */
export const agentFolder = `${stateFolder}/agent`;
/** How far an agent is that gives way to another. */
export const agentUpdateFolder = `${agentFolder}/update`;
/** What an agent was bootstrapped from. */
export const agentBootstrapPath = `${stateFolder}/agent-bootstrap.json`;
/** What a bake put into an image, by digest. */
export const imageLockPath = '/opt/nodekiln/image.lock.json';
/** What a bootstrap brought to the machine, for a reset to take away. */
export const bootstrapBroughtPath = `${stateFolder}/bootstrap-brought.json`;
/** Our program as it is installed, and what runs it. */
export const programFolder = '/opt/nodekiln/bin';
