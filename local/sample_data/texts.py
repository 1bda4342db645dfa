"""The words of the sample conversations, in Brazilian Portuguese: a bicycle shop."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Turn:
    """One message: a customer's part of a webhook message, or an attendant's text."""

    by_customer: bool
    text: str = ""
    part: dict[str, Any] = field(default_factory=dict)
    refused: str | None = None


@dataclass(frozen=True)
class Sample:
    """One conversation. Lines start with `>` for the attendant, `{type}` for another type; what
    follows `!!` is the code of Meta's refusal.
    """

    name: str
    phone: str
    lines: tuple[str, ...]
    ended_minutes_ago: int
    days: int = 1
    rides: int = 0  # a long history: so many earlier rounds of `_RIDE`


_PARTS: dict[str, dict[str, Any]] = {
    "image": {"id": "3001", "mime_type": "image/jpeg", "sha256": "c2FtcGxl"},
    "video": {"id": "3002", "mime_type": "video/mp4", "sha256": "c2FtcGxl"},
    "voice": {"id": "3003", "mime_type": "audio/ogg; codecs=opus", "voice": True},
    "document": {"id": "3004", "mime_type": "application/pdf", "filename": "comprovante.pdf"},
    "sticker": {"id": "3005", "mime_type": "image/webp", "animated": False},
    "location": {
        "latitude": -23.5614,
        "longitude": -46.6559,
        "name": "Av. Paulista, 1578",
        "address": "Bela Vista, São Paulo",
    },
}

SAMPLES: tuple[Sample, ...] = (
    Sample("Maria Aparecida", "5511987654321", (
        "Oi, bom dia! Vocês consertam câmbio traseiro?",
        "> Bom dia, Maria! Consertamos, sim. Qual é a marca do câmbio?",
        "É um Shimano de 8 velocidades, está pulando marcha",
        "{image} Olha como ele está",
        "> Obrigada pela foto. Parece a gancheira torta; a regulagem com troca fica em R$ 95.",
        "> Pode trazer hoje até as 18h?",
        "Posso passar às 17h. Precisa marcar?",
        "> Não precisa, é só chegar. 🙂",
        "Perfeito, muito obrigada!",
    ), 3),
    Sample("João Pedro Almeida", "5521998877665", (
        "Boa tarde, minha bike já ficou pronta? Ordem 4471",
        "> Boa tarde, João! Um instante, vou verificar na oficina.",
        "> Ficou pronta, sim: revisão completa e pastilhas novas. Total de R$ 180.",
        "{voice}",
        "> Aceitamos Pix, cartão e dinheiro.",
        "Show! Passo aí amanhã cedo então",
    ), 18),
    Sample("Loja Pedal Forte", "5531991234567", (
        "Bom dia! Segue o pedido de reposição deste mês.",
        "{document}",
        "> Recebido! Vou conferir o estoque e já respondo.",
        "> Temos tudo, menos o pneu 29x2.25. Chega na quinta.",
        "Pode faturar o resto, por favor.",
        "E o pneu fica para a próxima entrega",
    ), 47, 2),
    Sample("Camila Rocha", "5548988112233", (
        "oiee",
        "vcs tem capacete infantil??",
        "> Oi, Camila! Temos, sim. Qual a idade da criança?",
        "5 aninhos, cabeça 50cm",
        "> O tamanho P (48–52 cm) serve. Temos em azul, rosa e verde por R$ 129.",
        "{sticker}",
        "quero o verde! 💚 segura pra mim?",
    ), 65),
    Sample("Seu Antônio", "551138765432", (
        "Boa noite.",
        "Gostaria de saber o horário de sábado.",
        "> Boa noite, seu Antônio! No sábado abrimos das 9h às 14h.",
        "Muito obrigado, minha filha.",
    ), 16 * 60),
    Sample("Rafael Lima", "5585999001122", (
        "E aí, dá pra instalar um pedivela novo ainda essa semana?",
        "> Dá, sim! Na sexta temos horário às 10h ou às 15h.",
        "Sexta 15h fechou",
        "{location} Vocês ficam perto daqui, né?",
        "> Isso, a duas quadras.",
    ), 20 * 60, 2),
    Sample("Fernanda Martins", "5541997766554", (
        "Oi! Comprei uma bicicleta aí na semana passada e o freio está fazendo barulho",
        "> Oi, Fernanda! A primeira regulagem é gratuita. Quer trazer?",
        "{video} Dá pra ouvir aqui",
        "> É só o assentamento das pastilhas, nada grave. Traga quando puder.",
        "Ufa! Passo no sábado",
        "> Combinado. Até sábado!",
    ), 26 * 60, 3),
    Sample("Trilheiros da Serra", "5511944556677", (
        "Fala, pessoal! Bora fechar o pedal de domingo?",
        "> Opa! A loja apoia com água e mecânico. Quantas pessoas?",
        "Por enquanto 14 confirmados",
        "Saída às 6h30 da praça, uns 42 km",
        "> Perfeito, o Bruno vai com o carro de apoio.",
        "Qual câmara de ar vocês recomendam pra pedra?",
        "> A de 0,9 mm com selante. Levo algumas para vender no dia.",
        "Boa! Separa umas 6",
        "> Separadas.",
        "{image} Foto do último, pra animar",
        "> Que lugar bonito! 😍",
        "Se chover a gente adia pra semana que vem",
        "> Certo. Eu aviso aqui até sexta.",
        "Fechou 👊",
    ), 29 * 60, 12, 10),
    Sample("Beatriz Nogueira", "5551993344556", (
        "Olá, ainda têm a Caloi vermelha do anúncio?",
        "> Olá, Beatriz! Temos, aro 26, por R$ 890.",
        "Ah, achei que era aro 29",
        "> Em aro 29 só em preto, por R$ 1.290.",
        "Vou pensar, obrigada",
    ), 2 * 24 * 60, 1),
    Sample("Carlos Eduardo", "5562998123456", (
        "Boa tarde, vocês parcelam?",
        "> Boa tarde! Em até 10x sem juros no cartão.",
        "E no boleto?",
        "> No boleto, somente à vista, com 5% de desconto.",
        "Entendi. Valeu!",
        "> Carlos, a bicicleta que o senhor viu entrou em promoção hoje!!131047",
    ), 3 * 24 * 60, 4),
    Sample("Patrícia Gomes", "5571988990011", (
        "Bom dia, queria trocar a corrente e a catraca",
        "> Bom dia! Para 8 velocidades fica R$ 210 com mão de obra.",
        "Tem garantia?",
        "> Três meses, Patrícia.",
        "Ótimo, levo na terça",
    ), 4 * 24 * 60, 1),
    Sample("Diego Fernandes", "5519997778889", (
        "opa, perdi a nota da minha bike, vcs conseguem 2a via?",
        "> Conseguimos, Diego. Me passa seu CPF ou o número da ordem?",
        "ordem 3980",
        "> Enviada para o e-mail do cadastro. 👍",
        "chegou aqui, vlw!!",
    ), 6 * 24 * 60, 1),
)  # fmt: skip


_PLACES = (
    ("Pico do Urubu", 38, "Rua de terra molhada, cuidado na descida"),
    ("Estrada da Petrobras", 64, "O asfalto novo ficou ótimo"),
    ("Morro do Saboó", 27, "Subida final de 18%, preparem as pernas"),
    ("Represa de Nazaré", 55, "Tem bica de água no km 20"),
    ("Caminho do Sal", 48, "Muita sombra, dá para ir com calma"),
    ("Serra do Japi", 41, "Precisa de autorização na portaria"),
    ("Pedra Grande", 33, "Quem quiser volta de carro, são 900 m de subida"),
    ("Rota das Frutas", 60, "A parada é na banca da dona Lurdes"),
    ("Salesópolis", 72, "Esse é o mais longo do mês"),
    ("Trilha do Bugio", 24, "Single track, melhor ir em grupo pequeno"),
)

_RIDE = (
    "Pessoal da loja, domingo é {place}, {km} km",
    "> Anotado! Querem carro de apoio?",
    "Se puder, sim. Somos uns {people}",
    "{note}",
    "> Levo bomba, câmaras e remendo. Alguém com freio a disco precisa de pastilha?",
    "O Léo precisa de um par, resina",
    "> Separado no nome dele, R$ 42.",
    "Saímos às {hour} em ponto 😅",
    "> Combinado, às {hour} na praça.",
    "Chegamos todos inteiros! {place} é lindo demais",
    "> Que bom! Mandem fotos. 🚵",
    "{{image}} Olha essa vista",
)


def turns(sample: Sample) -> list[Turn]:
    """The sample's messages, oldest first."""
    lines: list[str] = []
    for number, (place, km, note) in enumerate(_PLACES[: sample.rides]):
        people, hour = 8 + number, ("6h", "6h30", "7h")[number % 3]
        lines += [
            line.format(place=place, km=km, note=note, people=people, hour=hour) for line in _RIDE
        ]
    return [_turn(line) for line in (*lines, *sample.lines)]


def _turn(line: str) -> Turn:
    if line.startswith("> "):
        text, _, refused = line[2:].partition("!!")
        return Turn(False, text, refused=refused or None)
    if line.startswith("{"):
        kind, _, caption = line[1:].partition("}")
        name = "audio" if kind == "voice" else kind
        body = dict(_PARTS[kind])
        if caption.strip() and kind in ("image", "video", "document"):
            body["caption"] = caption.strip()
        return Turn(True, part={"type": name, name: body})
    return Turn(True, part={"type": "text", "text": {"body": line}})
