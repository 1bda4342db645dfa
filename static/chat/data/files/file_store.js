/**
 * Files that are not sent yet, in this browser's IndexedDB: they outlive a reload and a lost
 * connection, as texts do in the outbox. Where the browser denies it, nothing is kept and nothing
 * breaks: the page knows by what `put` resolves to.
 */

const NAME = "chat-unsent-files";
const STORE = "files";
/** Nothing is kept for longer: by then whoever chose it has long chosen it again. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** Of all attendants of this browser together. */
const MOST_BYTES = 500_000_000;

export class FileStore {
  #userId;
  #factory;
  #now;
  #opening = null;

  /** `userId` keeps two attendants' files apart; `factory`: indexedDB, null where there is none. */
  constructor(userId, { factory = globalThis.indexedDB ?? null, now = Date.now } = {}) {
    this.#userId = userId;
    this.#factory = factory;
    this.#now = now;
  }

  /** Keeps a file under a key; whether the browser took it. */
  async put(key, file) {
    try {
      const kept = await this.#all();
      const bytes = kept.reduce((sum, each) => sum + each.size, file.size);
      if (bytes > MOST_BYTES) return false;
      const record = { user: this.#userId, key, at: this.#now(), size: file.size, file };
      await this.#run("readwrite", (store) => store.put(record));
      return true;
    } catch {
      return false; // full, forbidden, or a file that cannot be read
    }
  }

  /** The file of a key; null where none is kept. */
  async get(key) {
    try {
      return (await this.#run("readonly", (store) => store.get([this.#userId, key])))?.file ?? null;
    } catch {
      return null;
    }
  }

  async delete(key) {
    await this.#quietly((store) => store.delete([this.#userId, key]));
  }

  /** Forgets all files of this attendant. */
  async clear() {
    await this.#quietly((store) => store.delete(IDBKeyRange.bound([this.#userId], [this.#userId, []])));
  }

  /** Forgets whatever has been here for too long, whoever left it. */
  async purge() {
    try {
      for (const { user, key, at } of await this.#all()) {
        const isOld = Math.abs(this.#now() - at) > KEPT_MS;
        if (isOld) await this.#run("readwrite", (store) => store.delete([user, key]));
      }
    } catch {
      // Nothing is kept where nothing can be read.
    }
  }

  async #quietly(work) {
    try {
      await this.#run("readwrite", work);
    } catch {
      // It was never kept.
    }
  }

  #all() {
    return this.#run("readonly", (store) => store.getAll());
  }

  /** Runs one request in a transaction of its own, and resolves when that is on the disk. */
  async #run(mode, work) {
    const database = await this.#open();
    return new Promise((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = work(transaction.objectStore(STORE));
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = () => reject(transaction.error ?? new Error("aborted"));
    });
  }

  #open() {
    this.#opening ??= new Promise((resolve, reject) => {
      if (!this.#factory) throw new Error("no IndexedDB");
      const request = this.#factory.open(NAME, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: ["user", "key"] });
      request.onerror = () => reject(request.error);
      request.onsuccess = () => {
        request.result.onversionchange = () => request.result.close(); // the site's data are deleted
        request.result.onclose = () => { this.#opening = null; };
        resolve(request.result);
      };
    });
    this.#opening.catch(() => { this.#opening = null; });
    return this.#opening;
  }
}
