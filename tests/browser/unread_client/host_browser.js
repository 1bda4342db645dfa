// What a test decides of the browser: focus, and notifications, which are noted.
document.hasFocus = () => window.focused;
window.told = [];
window.Notification = class {
  static get permission() { return window.permission ?? "granted"; }
  static async requestPermission() {
    window.told.push("asked");
    window.permission = "granted";
  }
  constructor(title, options) {
    Object.assign(this, { title, ...options, open: true });
    window.told.push(this);
  }
  close() { this.open = false; }
};
