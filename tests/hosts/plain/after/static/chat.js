var conversaAtual = null;
var todas = [];

function el(id) {
  return document.getElementById(id);
}

function criar(tag, classe, texto) {
  var e = document.createElement(tag);
  if (classe) e.className = classe;
  if (texto) e.textContent = texto;
  return e;
}

function chamar(url, dados) {
  var opcoes = {};
  if (dados) {
    opcoes = {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify(dados)
    };
  }
  return fetch(url, opcoes).then(function (r) {
    if (r.status == 401) {
      window.location = '/login';
    }
    return r.json().then(function (json) {
      if (!r.ok) throw new Error(json.erro || 'Erro no servidor');
      return json;
    });
  });
}

function mostrarErro(e) {
  el('erro').textContent = e ? e.message : '';
}

// lista da esquerda

function carregarConversas() {
  return chamar('/api/conversas').then(function (lista) {
    todas = lista;
    desenharConversas();
  });
}

function desenharConversas() {
  var busca = el('busca').value.toLowerCase();
  var ul = el('conversas');
  ul.textContent = '';
  el('mensagens').dataset.liveThread = conversaAtual || '';
  todas.forEach(function (c) {
    if (busca && (c.nome + c.telefone).toLowerCase().indexOf(busca) < 0) return;
    var li = criar('li', c.id == conversaAtual ? 'ativa' : '');
    Object.assign(li.dataset, c.live);
    li.append(criar('unread-badge'), ' ');
    li.appendChild(criar('span', 'hora', c.hora));
    li.appendChild(criar('b', 'nome', c.nome));
    li.appendChild(criar('p', 'ultima', c.ultima));
    li.onclick = function () { abrir(c.id); };
    ul.appendChild(li);
  });
}

// conversa da direita

function abrir(id) {
  conversaAtual = id;
  desenharConversas();
  mostrarErro(null);
  return carregarMensagens();
}

function carregarMensagens() {
  var id = conversaAtual;
  return chamar('/api/conversas/' + id + '/mensagens').then(function (r) {
    if (id != conversaAtual) return;
    el('vazio').style.display = 'none';
    el('chat').style.display = '';
    el('cliente').textContent = r.conversa.nome;
    el('telefone').textContent = '+' + r.conversa.telefone;
    el('mensagens').textContent = '';
    r.mensagens.forEach(adicionarMensagem);
    el('mensagens').scrollTop = el('mensagens').scrollHeight;
  });
}

function adicionarMensagem(m) {
  var div = criar('div', 'balao ' + (m.minha ? 'minha' : 'dele'));
  Object.assign(div.dataset, m.live);
  if (m.minha) div.appendChild(criar('div', 'quem', m.usuario));
  div.appendChild(criar('div', 'texto', m.texto));
  div.appendChild(criar('div', 'hora', m.hora + ' ')).appendChild(criar('message-ticks'));
  el('mensagens').appendChild(div);
}

el('form').onsubmit = function (ev) {
  ev.preventDefault();
  var texto = el('texto').value.trim();
  if (!texto) return;
  el('texto').disabled = true;
  chamar('/api/conversas/' + conversaAtual + '/enviar', {texto: texto}).then(function (m) {
    el('texto').value = '';
    mostrarErro(null);
    carregarMensagens();
    el('mensagens').scrollTop = el('mensagens').scrollHeight;
    return carregarConversas();
  }).catch(mostrarErro).then(function () {
    el('texto').disabled = false;
    el('texto').focus();
  });
};

el('prontas').onchange = function () {
  el('texto').value = this.value;
  this.selectedIndex = 0;
  el('texto').focus();
};

el('busca').oninput = desenharConversas;

el('renomear').onclick = function () {
  var nome = prompt('Nome do cliente', el('cliente').textContent);
  if (!nome) return;
  chamar('/api/conversas/' + conversaAtual, {nome: nome}).then(function (c) {
    el('cliente').textContent = c.nome;
    return carregarConversas();
  }).catch(mostrarErro);
};

el('arquivar').onclick = function () {
  chamar('/api/conversas/' + conversaAtual, {arquivada: true}).then(function () {
    conversaAtual = null;
    el('chat').style.display = 'none';
    el('vazio').style.display = '';
    return carregarConversas();
  }).catch(mostrarErro);
};

document.addEventListener('realtime:refresh', function (ev) { ev.detail.waitUntil(Promise.all([carregarConversas(), conversaAtual && carregarMensagens()])); });
carregarConversas();
